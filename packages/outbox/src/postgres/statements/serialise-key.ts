/**
 * Waits until no other transaction holds the lock of a key, and holds it to the end of this one: $1 is the topic, a space, and the
 * key. Always one row, without a value. A statement of its own, before the insert: inside it, the id would be handed out while we wait.
 */
export const serialiseKey = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))";
