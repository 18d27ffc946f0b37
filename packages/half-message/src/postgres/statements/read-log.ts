import type { Identifier } from "@waybill/sql";

/** The log of half message $1, $2, oldest first, at most 200 entries. Served by the index on both and seq. */
export const readLog = (log: Identifier): string => `
  select (extract(epoch from at) * 1000)::float8 as at_ms, event, from_state, to_state, actor, reason
  from ${log}
  where producer = $1 and id = $2
  order by seq
  limit 200`;
