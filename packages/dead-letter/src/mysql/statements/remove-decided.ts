import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of origin ?1 and reader ?2 that were done or discarded more than ?3 ms ago by the database's clock, the oldest ?4. The count
 * says how many; fewer than ?4: none are left. Served by the index on decided_at: found without locks, for a
 * plain DELETE takes no hint and may read, and lock, all rows of the reader.
 */
export const removeDecided = (letters: Identifier): string => `
  delete letter
  from (
    select position
    from ${letters} force index (decided)
    where origin = ? and reader = ?
      and decided_at < utc_timestamp(6) - interval ? * 1000 microsecond
    order by origin, reader, decided_at
    limit ?
  ) as old
  straight_join ${letters} as letter force index (position) on letter.position = old.position
  where letter.decided_at is not null`;
