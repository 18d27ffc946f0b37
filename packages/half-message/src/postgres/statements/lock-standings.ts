import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/**
 * Locks the rows of $1, a JSON array of producer and id, one by one and in its order, which is that of both, so that two batches wait for each other and
 * never in a circle. A row that is not there is not locked, and misses in the answer. Served by the primary key.
 */
export const lockStandings = (halfMessages: Identifier): string => `
  select locked.*
  from json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
  cross join lateral (
    select ${standingColumns}
    from ${halfMessages} h
    where h.producer = k.producer and h.id = k.id
    for update of h
  ) as locked`;
