import type { Identifier } from "@waybill/sql";

/** The log of a half message, by producer and id, oldest first, at most 200 entries. Served by the index on both and seq. */
export const readLog = (log: Identifier): string => `
  select timestampdiff(microsecond, '1970-01-01', at) / 1000 as at_ms, event, from_state, to_state, actor, reason
  from ${log}
  where producer = ? and id = ?
  order by seq
  limit 200`;
