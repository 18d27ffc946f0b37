import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of a subscription if its lease is free, run out, or our own already, and answers it as the last holder left it: whether
 * the lease was released, whether the holder got anywhere, what it was publishing alone. The first half of an acquisition, since an
 * UPDATE answers no rows here.
 *
 * stream · subscription · owner: random id of this process. No row: somebody else holds the lease, or the subscription is paused,
 * stopped or gone. Served by the primary key.
 */
export const findFreeLease = (subscriptions: Identifier): string => `
  select epoch,
         last_id,
         holes,
         owner as owner_before,
         progressed as progressed_before,
         solo_id as solo_id_before,
         solo_deaths,
         server_identity,
         ledger_identity
  from ${subscriptions}
  where stream = ? and subscription = ?
    and state = 'active'
    and (lease_until < utc_timestamp(6) or owner = ?)
  for update`;
