import type { Identifier } from "@waybill/sql";
import { amongKeys } from "./repeated.ts";
import { standingColumns } from "./standing-columns.ts";

/** So many rows by producer and id; in no order. Served by the primary key. */
export const readStandings = (halfMessages: Identifier, counts: readonly number[]): string => `
  select ${standingColumns}
  from ${halfMessages} h
  where ${amongKeys(counts)}`;
