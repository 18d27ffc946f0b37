import type { Identifier } from "@waybill/sql";

/**
 * Says that the transaction it runs in is the one of half message ?2 of producer ?1, prepared for the barrier with identity ?3.
 *
 * A plain INSERT on purpose: a fence, or another transaction of the same half message, makes it fail with 1062. It writes no row into
 * another barrier than the one prepared for, which `barrier-check-identity.ts` tells. Served by the primary key.
 */
export const joinBarrier = (barrier: Identifier, identities: Identifier): string => `
  insert into ${barrier} (producer, id, fate)
  select ?, ?, 'committed'
  from ${identities}
  where identity = ?`;
