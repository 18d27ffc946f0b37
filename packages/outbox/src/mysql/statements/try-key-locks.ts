import type { Identifier } from "@waybill/sql";

/**
 * Locks these rows of the keys' locks to the end of the transaction, those of them that nobody holds: never waits. `locks` are whole numbers and
 * nothing else. One row for each that is ours now.
 */
export const tryKeyLocks = (keyLocks: Identifier, locks: readonly bigint[]): string => `
  select id
  from ${keyLocks} force index (primary)
  where id in (${locks.join(", ")})
  order by id
  for update skip locked`;
