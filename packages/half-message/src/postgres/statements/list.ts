import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/** Half messages of producer $1, in state $2 (null: any), behind id $3, at most $4; by id. Served by the primary key. */
export const list = (halfMessages: Identifier): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where h.producer = $1
    and ($2::text is null or h.state = $2)
    and h.id > $3
  order by h.id
  limit $4`;
