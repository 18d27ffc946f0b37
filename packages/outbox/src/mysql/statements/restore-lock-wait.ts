/** Ends what `shorten-lock-wait.ts` began: other work on the connection waits for its locks as long as before. */
export const restoreLockWait = "set session innodb_lock_wait_timeout = @waybill_lock_wait";
