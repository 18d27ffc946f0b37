import type { Identifier } from "@waybill/sql";

/**
 * Ids, as hex, of the rows of consumer ?1 whose counted_at is more than ?2 ms ago by the database's clock, the oldest ?3, not locked. Fewer than ?3: no
 * more. Served by the index on counted_at, in whose whole order they are asked for.
 */
export const findOldAttempts = (attempts: Identifier): string => `
  select hex(message_id) as id
  from ${attempts} force index (counted)
  where consumer = ?
    and counted_at < utc_timestamp(6) - interval ? * 1000 microsecond
  order by consumer, counted_at
  limit ?`;
