/** For the rest of the transaction no statement waits longer than $1 ms for a lock: SQLSTATE 55P03 then. */
export const limitLockWait = `
  select set_config('lock_timeout', $1, true)`;
