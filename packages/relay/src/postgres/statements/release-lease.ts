import type { Identifier } from "@waybill/sql";

/**
 * Hands the lease of subscription $2 of stream $1 over, held under epoch $3 and owner $4: a standby may take it at once.
 * No owner left behind tells the next holder that nobody died. No row: it was not ours any more. Served by the primary key.
 */
export const releaseLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = '-infinity',
      owner       = null
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
  returning 1`;
