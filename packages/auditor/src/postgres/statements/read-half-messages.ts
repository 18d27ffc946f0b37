import type { TableName } from "../../table-name.ts";

/**
 * Every half message with how it was decided, and how often by the log of decisions, by its primary key, tombstones included.
 *
 * No row: nothing was ever prepared, or the tombstones are gone.
 */
export const readHalfMessages = (halfMessages: TableName, log: TableName): string => `
  select h.producer,
         h.id,
         h.state,
         h.decided_by,
         (select count(*) from ${log} l where l.producer = h.producer and l.id = h.id and l.event in ('committed', 'rolled_back')) as decisions
  from ${halfMessages} h
  order by h.producer, h.id`;
