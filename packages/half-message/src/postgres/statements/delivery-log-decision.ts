import type { Identifier } from "@waybill/sql";

/** Enters in the log of decisions what was decided about deliveries. $1 a JSON array of objects: seq, producer, id, event, from_state, to_state, actor, reason. */
export const logDeliveryDecisions = (log: Identifier): string => `
  insert into ${log} (delivery_seq, producer, id, at, event, from_state, to_state, actor, reason)
  select seq, producer, id, clock_timestamp(), event, from_state, to_state, actor, reason
  from json_to_recordset($1::json) as entry (
         seq bigint, producer text, id text, event text, from_state text, to_state text, actor text, reason text)`;
