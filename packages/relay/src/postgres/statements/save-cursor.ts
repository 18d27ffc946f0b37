import type { Identifier } from "@waybill/sql";
import { serverIdentity } from "./server-identity.ts";

/**
 * Saves how far subscription $2 of stream $1 has come, and renews its lease by $5 ms.
 *
 * $3, $4 epoch and owner we hold (an epoch alone can be given out twice after a failover) · $6 the server we began on · $7 last id
 * read · $8, $9 lower and upper ends of the id ranges to read again after a crash: holes, and ids not yet confirmed; ascending,
 * disjoint, all at or below $7 · $10 whether this holder has got anywhere · $11 the id that is about to be published alone, or
 * null · $12 deaths by id, as JSON · $13 'off' relaxes just this commit: losing it costs repetitions, nothing else. What must be on
 * disk before we act ('on') is a message that may kill us.
 *
 * No row: another relay holds the lease and we are a zombie; stop publishing at once. Served by the primary key.
 */
export const saveCursor = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set last_id     = $7::bigint,
      hole_lo     = $8::bigint[],
      hole_hi     = $9::bigint[],
      progressed  = $10::boolean,
      solo_id     = $11::bigint,
      solo_deaths = $12,
      saved_at    = clock_timestamp(),
      lease_until = clock_timestamp() + $5::bigint * interval '1 millisecond'
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
    and $6 = ${serverIdentity}
  returning set_config('synchronous_commit', $13, true)`;
