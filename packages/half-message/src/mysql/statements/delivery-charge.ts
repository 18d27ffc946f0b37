import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Counts an attempt at `rows` deliveries, whose lanes we hold. One that waited for an acknowledgement is a redelivery. Served by the primary key. */
export const chargeAttempts = (deliveries: Identifier, rows: number): string => `
  update ${deliveries}
  set attempts     = attempts + 1,
      redeliveries = redeliveries + (state = 'awaiting_ack')
  where seq in (${repeated("?", rows, ", ")})`;
