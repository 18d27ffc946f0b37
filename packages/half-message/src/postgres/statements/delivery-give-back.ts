import type { Identifier } from "@waybill/sql";

/** Gives back the deliveries $1 (seqs) that were leased in this transaction and are not taken: due at once, and not counted. Served by the primary key. */
export const giveBackRows = (deliveries: Identifier): string => `
  update ${deliveries}
  set due_at       = now(),
      lease_token  = null,
      attempts     = attempts - 1,
      redeliveries = redeliveries - case state when 'awaiting_ack' then 1 else 0 end
  where seq = any ($1::bigint[])`;
