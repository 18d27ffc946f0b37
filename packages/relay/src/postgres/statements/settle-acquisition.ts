import type { Identifier } from "@waybill/sql";

/**
 * Writes down what a new holder of subscription $2 of stream $1 concluded, under its epoch $3 and owner $4, before it publishes
 * anything: $5 deaths by id as JSON · $6, $7 the server and the ledger it found. The message published alone by the last holder is
 * accounted for in $5, so that it is not counted twice.
 *
 * No row: the lease is lost. Durable commit. Served by the primary key.
 */
export const settleAcquisition = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set solo_id         = null,
      solo_deaths     = $5,
      server_identity = $6,
      ledger_identity = $7
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
  returning 1`;
