import type { Identifier } from "@waybill/sql";

/**
 * Writes down what a new holder of a subscription concluded, under its epoch, before it publishes anything. The message published
 * alone by the last holder is accounted for in the deaths, so that it is not counted twice.
 *
 * deaths by id as JSON · the server and the ledger it found · stream · subscription · epoch · owner. No row found: the lease is lost.
 * Served by the primary key.
 */
export const settleAcquisition = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set solo_id         = null,
      solo_deaths     = ?,
      server_identity = ?,
      ledger_identity = ?
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?`;
