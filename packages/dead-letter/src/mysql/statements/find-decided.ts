import type { Identifier } from "@waybill/sql";

/**
 * Positions of rows of origin ?1 and reader ?2 that were done or discarded more than ?3 ms ago by the database's clock, the oldest ?4, not
 * locked. Fewer than ?4: no more. Served by the index on decided_at, in whose whole order they are asked for.
 */
export const findDecided = (letters: Identifier): string => `
  select position
  from ${letters} force index (decided)
  where origin = ? and reader = ?
    and decided_at < utc_timestamp(6) - interval ? * 1000 microsecond
  order by origin, reader, decided_at
  limit ?`;
