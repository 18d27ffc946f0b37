/**
 * Lets each of the transaction's statements see what was committed before it, whatever the database's default: what is read under a lock must not
 * be older than the lock. Comes before any other statement.
 */
export const readCommitted = "set transaction isolation level read committed";
