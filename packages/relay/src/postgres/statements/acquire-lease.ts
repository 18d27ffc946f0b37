import type { Identifier } from "@waybill/sql";

/**
 * Takes the lease of subscription $2 of stream $1 if it is free, run out, or our own already, and raises the epoch: from here on every
 * write of an earlier holder changes no row.
 *
 * $3 owner: random id of this process · $4 lease in milliseconds · $5 hash of our configuration.
 *
 * The row is read under its lock before it is changed, because the new holder must know what the old one left: whether it released
 * the lease, whether it got anywhere, what it was publishing alone. Everything a cursor write could have changed is answered as it
 * was after the last holder's last write.
 *
 * No row: somebody else holds the lease, or the subscription is paused, stopped or gone. The commit is durable: no relaxed commit
 * may ever hand out an epoch that a crash takes back. Served by the primary key.
 */
export const acquireLease = (subscriptions: Identifier): string => `
  with before as (
    select stream, subscription, owner, progressed, solo_id, solo_deaths, server_identity, ledger_identity
    from ${subscriptions}
    where stream = $1 and subscription = $2
      and state = 'active'
      and (lease_until < clock_timestamp() or owner = $3::uuid)
    for update
  )
  update ${subscriptions} as s
  set epoch       = s.epoch + 1,
      owner       = $3::uuid,
      lease_until = clock_timestamp() + $4::bigint * interval '1 millisecond',
      config_hash = $5,
      progressed  = false
  from before
  where s.stream = before.stream and s.subscription = before.subscription
  returning s.epoch::text as epoch,
            s.last_id::text as last_id,
            s.hole_lo::text[] as hole_lo,
            s.hole_hi::text[] as hole_hi,
            before.owner::text as owner_before,
            before.progressed as progressed_before,
            before.solo_id::text as solo_id_before,
            before.solo_deaths as solo_deaths,
            before.server_identity as server_identity,
            before.ledger_identity as ledger_identity`;
