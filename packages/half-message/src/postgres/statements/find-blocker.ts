import type { Identifier } from "@waybill/sql";

/** The earliest undecided half message of the same key that was prepared before a half message, by producer and id. Served by the order index. */
export const findBlocker = (halfMessages: Identifier): string => `
  select open.id
  from ${halfMessages} h
  join ${halfMessages} open
    on open.producer = h.producer and open.order_key = h.order_key and open.order_open = 1 and open.prepared_at < h.prepared_at
  where h.producer = $1 and h.id = $2
  order by open.prepared_at
  limit 1`;
