/** Lets the transaction wait 100 ms for each lock: whoever queues longer for a table makes everybody else queue behind. */
export const limitLockWait = "set local lock_timeout = '100ms'";
