import type { Identifier } from "@waybill/sql";

/** Locks the deliveries $1 (seqs) in the order of seq, and answers how they stand now. Served by the primary key. */
export const lockRows = (deliveries: Identifier): string => `
  select seq, state, attempts, redeliveries, open_lane, lease_token
  from ${deliveries}
  where seq = any ($1::bigint[])
  order by seq
  for update`;
