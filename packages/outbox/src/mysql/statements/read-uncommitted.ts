/** Lets a session see rows whose transactions have not ended: for a connection that does nothing else. */
export const readUncommitted = "set session transaction isolation level read uncommitted";
