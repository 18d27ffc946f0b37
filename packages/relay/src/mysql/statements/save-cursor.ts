import type { Identifier } from "@waybill/sql";
import { serverIdentity } from "./server-identity.ts";

/**
 * Saves how far a subscription has come, and renews its lease.
 *
 * last id read · the ids at or below it to read again after a crash, holes and ids not yet confirmed, as gap, length, gap, … · whether
 * this holder has got anywhere · the id that is about to be published alone, or null · deaths by id, as JSON · lease in milliseconds ·
 * stream · subscription · epoch and owner we hold (an epoch alone can be given out twice after a failover) · the server we began on.
 *
 * No row found: another relay holds the lease and we are a zombie; stop publishing at once. Every commit is as durable as the server's
 * settings make it: there is no relaxing one alone. Served by the primary key.
 */
export const saveCursor = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set last_id     = ?,
      holes       = ?,
      progressed  = ?,
      solo_id     = ?,
      solo_deaths = ?,
      saved_at    = utc_timestamp(6),
      lease_until = utc_timestamp(6) + interval ? * 1000 microsecond
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?
    and ? = ${serverIdentity}`;
