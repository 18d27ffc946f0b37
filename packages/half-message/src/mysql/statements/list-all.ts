import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/** Half messages of all producers, in a state (twice; null: any), behind a producer (twice) and an id, at most so many; by both. Served by the primary key. */
export const listAll = (halfMessages: Identifier): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where (? is null or h.state = ?)
    and (h.producer > ? or (h.producer = ? and h.id > ?))
  order by h.producer, h.id
  limit ?`;
