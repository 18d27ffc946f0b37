/**
 * One lock for each database on the server. ?: the schema, or null where the connection decides. A name may have 64 characters, so it is a digest;
 * MySQL has no SHA1 any more from 9.6 on.
 */
const lockName = "concat('waybill migrations ', left(sha2(coalesce(?, database(), ''), 256), 40))";

/**
 * Makes installers of one database wait for each other. ?1, ?2 the schema, or null where the connection decides · ?3 seconds to wait.
 *
 * A lock of the session: on a connection that is used for nothing else and closed afterwards, so that no crash leaves it behind.
 * One row; `is_locked` 1: ours, 0: others were at work all the time, null: it went wrong. `has_database` 0: neither names one.
 */
export const lockMigrations: string = `
  select coalesce(?, database()) is not null as has_database,
         get_lock(${lockName}, ?) as is_locked`;

/** Ends it, for who comes next. ?1 as above. One row. */
export const unlockMigrations: string = `select release_lock(${lockName}) as is_released`;
