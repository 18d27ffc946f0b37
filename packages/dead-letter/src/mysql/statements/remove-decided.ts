import type { Identifier } from "@waybill/sql";

/**
 * Removes rows that are done or discarded. ?1 a JSON array of positions, see `find-decided.ts`. The count says how many there still were.
 *
 * By position, because a DELETE that looks for old rows itself takes no hint, may lock all rows of the reader, and locks the first one that
 * is not old: it would wait for who is at that. Served by the index on position.
 */
export const removeDecided = (letters: Identifier): string => `
  delete letter
  from json_table(?, '$[*]' columns (position bigint path '$')) as old
  straight_join ${letters} as letter force index (position) on letter.position = old.position
  where letter.decided_at is not null`;
