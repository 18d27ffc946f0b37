import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/** Half messages of a producer, in a state (twice; null: any), behind an id, at most so many; by id. Served by the primary key. */
export const list = (halfMessages: Identifier): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where h.producer = ?
    and (? is null or h.state = ?)
    and h.id > ?
  order by h.id
  limit ?`;
