import type { Identifier } from "@waybill/sql";
import { amongKeys } from "./repeated.ts";
import { standingColumns } from "./standing-columns.ts";

/**
 * Locks so many rows, by producer and id, in the order of both, so that two batches wait for each other and never in a circle. A row that is
 * not there is not locked, and misses in the answer. Served by the primary key.
 */
export const lockStandings = (halfMessages: Identifier, counts: readonly number[]): string => `
  select ${standingColumns}
  from ${halfMessages} h force index (primary)
  where ${amongKeys(counts)}
  order by producer, id
  for update`;
