/** The least that MySQL waits for a lock: one second. */
export const limitFence = "set session innodb_lock_wait_timeout = 1";

/** Which server this is. One row. MariaDB's version says so in its name. */
export const askServer = "select version() as version";
