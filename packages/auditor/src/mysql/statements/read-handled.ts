import type { TableName } from "../../table-name.ts";

/**
 * Every dedupe row of an inbox table, by its primary key.
 *
 * No row: nothing was handled, or retention removed it.
 */
export const readHandled = (inbox: TableName): string => `
  select consumer,
         convert(message_id using utf8mb4) as message_id
  from ${inbox}
  order by consumer, message_id`;
