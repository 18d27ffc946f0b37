import type { Identifier } from "@waybill/sql";

/**
 * Says that the transaction it runs in is the one of half message $2 of producer $1, prepared for the barrier with identity $3.
 *
 * A plain INSERT on purpose: a fence, or another transaction of the same half message, makes it fail with 23505, and PostgreSQL then
 * answers even a COMMIT whose error was swallowed with a rollback.
 *
 * No row: another barrier than the one prepared for. is_top_level false: it ran inside a savepoint, and rolling back to that would take it
 * back without the rest. Served by the primary key.
 */
export const joinBarrier = (barrier: Identifier, identities: Identifier): string => `
  insert into ${barrier} (producer, id, fate)
  select $1, $2, 'committed'
  from ${identities}
  where identity = $3::uuid
  returning xmin = pg_current_xact_id()::xid as is_top_level`;
