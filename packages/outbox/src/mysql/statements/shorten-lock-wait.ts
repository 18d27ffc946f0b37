/** Remembers how long the session waits for locks, and lets it wait a second, which is MySQL's least. `restore-lock-wait.ts` ends it. */
export const shortenLockWait = "set @waybill_lock_wait = @@session.innodb_lock_wait_timeout, session innodb_lock_wait_timeout = 1";
