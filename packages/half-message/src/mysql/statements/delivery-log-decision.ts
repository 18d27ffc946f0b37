import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Enters in the log of decisions what was decided about `rows` deliveries: seq, producer, id, event, from, to, actor, reason of each. */
export const logDeliveryDecisions = (log: Identifier, rows: number): string => `
  insert into ${log} (delivery_seq, producer, id, event, from_state, to_state, actor, reason)
  values ${repeated("(?, ?, ?, ?, ?, ?, ?, ?)", rows, ", ")}`;
