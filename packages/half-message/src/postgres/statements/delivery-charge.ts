import type { Identifier } from "@waybill/sql";

/** Counts an attempt at the deliveries $1 (seqs), whose lanes we hold. One that waited for an acknowledgement is a redelivery. Served by the primary key. */
export const chargeAttempts = (deliveries: Identifier): string => `
  update ${deliveries}
  set attempts     = attempts + 1,
      redeliveries = redeliveries + case state when 'awaiting_ack' then 1 else 0 end
  where seq = any ($1::bigint[])`;
