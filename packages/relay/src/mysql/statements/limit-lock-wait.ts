/** Lets later statements of this connection wait for a lock for ? whole seconds, the server's unit. */
export const limitLockWait = "set session innodb_lock_wait_timeout = ?";
