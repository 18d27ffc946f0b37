import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Leases `rows` deliveries, which we have locked, for ?1 ms under token ?2, and counts the attempt: those of the seqs that follow. One that waited for
 * an acknowledgement is a redelivery. Served by the primary key.
 */
export const leaseRows = (deliveries: Identifier, rows: number): string => `
  update ${deliveries}
  set due_at       = utc_timestamp(6) + interval ? * 1000 microsecond,
      lease_token  = ?,
      attempts     = attempts + 1,
      redeliveries = redeliveries + (state = 'awaiting_ack')
  where seq in (${repeated("?", rows, ", ")})`;
