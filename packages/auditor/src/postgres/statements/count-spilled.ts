import type { TableName } from "../../table-name.ts";

/**
 * How many messages each subscription of stream $1 has copied aside. Served by the table's primary key.
 *
 * No row: nothing is copied aside.
 */
export const countSpilled = (spill: TableName): string => `
  select subscription,
         count(*)::text as spilled
  from ${spill}
  where stream = $1
  group by subscription
  order by subscription`;
