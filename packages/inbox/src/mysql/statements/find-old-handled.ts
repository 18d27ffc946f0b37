import type { Identifier } from "@waybill/sql";

/**
 * Ids, as hex, of the rows of consumer ?1 whose handled_at is more than ?2 ms ago by the database's clock, the oldest ?3, not locked. Fewer than ?3: no
 * more. Served by the index on handled_at, in whose whole order they are asked for.
 */
export const findOldHandled = (inbox: Identifier): string => `
  select hex(message_id) as id
  from ${inbox} force index (handled)
  where consumer = ?
    and handled_at < utc_timestamp(6) - interval ? * 1000 microsecond
  order by consumer, handled_at
  limit ?`;
