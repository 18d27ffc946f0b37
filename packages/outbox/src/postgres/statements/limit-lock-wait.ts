/**
 * Lets the transaction wait $1 milliseconds, given as text, for each lock; then it fails with 55P03. Whoever queues longer for a table makes
 * everybody else queue behind. One row, without meaning.
 *
 * And whoever holds such a lock must not fall silent: a process that is stopped, or cut off, would keep everybody waiting until its connection is
 * found dead. After a second without a statement the server ends the session, and the transaction with it.
 */
export const limitLockWait = `
  select
    set_config('lock_timeout', $1, true),
    set_config('idle_in_transaction_session_timeout', '1000', true)`;
