import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/** The rows of $1, a JSON array of producer and id; in no order. Served by the primary key. */
export const readStandings = (halfMessages: Identifier): string => `
  select ${standingColumns}
  from json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
  join ${halfMessages} h on h.producer = k.producer and h.id = k.id`;
