import type { Identifier } from "@waybill/sql";

/**
 * Notes that deliveries were confirmed although our lease was lost meanwhile: that is a fact, and spares a repetition. Whoever has the lease now finds
 * out when it records. $1 seqs of deliveries with an implicit acknowledgement. Served by the primary key.
 */
export const noteConfirmed = (deliveries: Identifier): string => `
  update ${deliveries}
  set state = 'acked', open_lane = null, due_at = null, lease_token = null, last_at = now(), last_outcome = 'confirmed', last_error = null,
      acked_at = now(), acked_by = 'transport'
  where seq = any ($1::bigint[]) and state = 'pending'`;
