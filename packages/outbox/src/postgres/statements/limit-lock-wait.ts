/**
 * Lets the transaction wait $1 milliseconds, given as text, for each lock; then it fails with 55P03. Whoever queues longer for a table makes
 * everybody else queue behind. One row, without meaning.
 */
export const limitLockWait = "select set_config('lock_timeout', $1, true)";
