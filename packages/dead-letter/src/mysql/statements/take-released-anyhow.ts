import type { Identifier } from "@waybill/sql";

/**
 * Locks the first ?3 released rows of origin ?1 and reader ?2, by sequence within a lane, without what they carry. Lanes do not matter.
 *
 * A row that another unit has is left out. No row: none is left, or others have them. Served by the index on state, in whose order they are asked for.
 */
export const takeReleasedAnyhow = (letters: Identifier): string => `
  select position, state, coalesce(octet_length(payload), octet_length(payload_bytes), 0) as bytes
  from ${letters} force index (state)
  where origin = ? and reader = ?
    and state = 'released'
  order by origin, reader, state, open_lane, sequence, position
  limit ?
  for update skip locked`;
