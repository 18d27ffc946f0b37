/**
 * Locks the keys $1 to the end of the transaction, as `serialise-key.ts` does, those of them that nobody holds: never waits. Each is a topic, a
 * space, and a key. One row for each that is ours now.
 */
export const tryKeyLocks = `
  select lock
  from unnest($1::text[]) as lock
  where pg_try_advisory_xact_lock(hashtextextended(lock, 0))`;
