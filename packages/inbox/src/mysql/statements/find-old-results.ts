import type { Identifier } from "@waybill/sql";

/**
 * Origins and ids, as hex, of the results of consumer ?1 kept more than ?2 ms ago by the database's clock, the oldest ?3, not locked. Fewer than ?3: no
 * more. Served by the index on kept_at, in whose whole order they are asked for.
 */
export const findOldResults = (results: Identifier): string => `
  select origin, hex(message_id) as id
  from ${results} force index (kept)
  where consumer = ?
    and kept_at < utc_timestamp(6) - interval ? * 1000 microsecond
  order by consumer, kept_at
  limit ?`;
