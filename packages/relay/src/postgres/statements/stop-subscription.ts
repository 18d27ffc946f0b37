import type { Identifier } from "@waybill/sql";

/**
 * Stops subscription $2 of stream $1 until an operator decides, under the epoch $3 and the owner $4 that hold it; $5 is the reason.
 *
 * No row: the lease is lost, and whoever has it now looks for itself. Served by the primary key.
 */
export const stopSubscription = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set state        = 'stopped',
      state_reason = $5,
      epoch        = epoch + 1,
      owner        = null,
      lease_until  = '-infinity'
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
  returning 1`;
