/** The isolation of this transaction, whatever the role's default is: each statement sees what is committed when it begins. */
export const readCommitted = "set transaction isolation level read committed";

/**
 * For this transaction only: how long it waits for locks ($1) and for a statement ($2), in milliseconds, and that its COMMIT is durable
 * before it is answered, whatever the role's default is. Always one row.
 */
export const limitFence = `
  select set_config('lock_timeout', $1, true),
         set_config('statement_timeout', $2, true),
         set_config(
           'synchronous_commit',
           case when current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then 'on' else current_setting('synchronous_commit') end,
           true
         )`;
