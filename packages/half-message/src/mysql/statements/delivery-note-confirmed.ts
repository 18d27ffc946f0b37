import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Notes that `rows` deliveries with an implicit acknowledgement were confirmed although our lease was lost meanwhile: that is a fact, and spares a
 * repetition. Whoever has the lease now finds out when it records. Served by the primary key.
 */
export const noteConfirmed = (deliveries: Identifier, rows: number): string => `
  update ${deliveries}
  set state = 'acked', open_lane = null, due_at = null, lease_token = null, last_at = utc_timestamp(6), last_outcome = 'confirmed', last_error = null,
      acked_at = utc_timestamp(6), acked_by = 'transport'
  where seq in (${repeated("?", rows, ", ")}) and state = 'pending'`;
