import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Gives back `rows` deliveries that were leased in this transaction and are not taken: due at once, and not counted. Served by the primary key. */
export const giveBackRows = (deliveries: Identifier, rows: number): string => `
  update ${deliveries}
  set due_at       = utc_timestamp(6),
      lease_token  = null,
      attempts     = attempts - 1,
      redeliveries = redeliveries - (state = 'awaiting_ack')
  where seq in (${repeated("?", rows, ", ")})`;
