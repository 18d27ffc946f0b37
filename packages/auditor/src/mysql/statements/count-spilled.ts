import type { TableName } from "../../table-name.ts";

/**
 * How many messages each subscription of a stream has copied aside. Served by the table's primary key.
 *
 * The stream. No row: nothing is copied aside.
 */
export const countSpilled = (spill: TableName): string => `
  select subscription,
         count(*) as spilled
  from ${spill}
  where stream = ?
  group by subscription
  order by subscription`;
