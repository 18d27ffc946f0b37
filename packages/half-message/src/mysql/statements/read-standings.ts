import type { Identifier } from "@waybill/sql";
import { eitherKey } from "./repeated.ts";
import { standingColumns } from "./standing-columns.ts";

/** So many rows by producer and id; in no order. Served by the primary key. */
export const readStandings = (halfMessages: Identifier, count: number): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where ${eitherKey(count)}`;
