/**
 * Makes installers of this database wait for each other until the end of their transaction. No parameters; one row.
 *
 * A lock of the transaction, not of the session: it also holds behind a pooler, and no crash leaves it behind. The number is ours and
 * means nothing; it is the same for every schema, for two of them may create it at once.
 */
export const lockMigrations = "select pg_advisory_xact_lock(5870192836401287)";

/** Each look at what is applied must see what others committed while we waited for the lock, whatever the role's default is. */
export const readCommitted = "set transaction isolation level read committed";
