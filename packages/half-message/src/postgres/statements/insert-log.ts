import type { Identifier } from "@waybill/sql";

/** Enters the log entries of $1, a JSON array of objects, in their order. */
export const insertLog = (log: Identifier): string => `
  insert into ${log} (producer, id, at, event, from_state, to_state, actor, reason, check_number)
  select n.producer, n.id, clock_timestamp(), n.event, n.from_state, n.to_state, n.actor, n.reason, n.check_number
  from json_to_recordset($1::json) as n (
    producer text, id text, event text, from_state text, to_state text, actor text, reason text, check_number integer)`;
