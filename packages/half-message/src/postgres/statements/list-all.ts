import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/** Half messages of all producers, in state $1 (null: any), behind producer $2 and id $3, at most $4; by both. Served by the primary key. */
export const listAll = (halfMessages: Identifier): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where ($1::text is null or h.state = $1)
    and (h.producer, h.id) > ($2, $3)
  order by h.producer, h.id
  limit $4`;
