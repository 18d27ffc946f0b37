import type { Identifier } from "@waybill/sql";
import { partitionBounds } from "./partition-bounds.ts";

/**
 * The partitions of a ledger that upkeep may empty: those named after their first id, by that id, ascending. The name that the table itself has
 * is $1, without its schema. Rows: first id · first id behind it, both as text. Reads the catalogue and locks none of them.
 */
export const listPartitions = (outbox: Identifier): string => `
  select bounds.low::text as low, bounds.high::text as high
  from pg_inherits as child
  join pg_class as leaf on leaf.oid = child.inhrelid
  cross join lateral (${partitionBounds}
  ) as bounds
  where child.inhparent = '${outbox}'::regclass
    and leaf.relname = $1::text || '_p' || bounds.low
  order by bounds.low`;
