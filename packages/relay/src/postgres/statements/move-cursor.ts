import type { Identifier } from "@waybill/sql";

/**
 * Lets subscription $2 of stream $1 go on after id $3, with nothing below it to read again, in state $4. The epoch is raised and the owner goes, so that
 * whoever runs it loses its lease at its next write. `lease_until` stays: until then that relay trusts its lease, and no other may begin.
 *
 * $5 true: what was known of the ledger, and of messages that killed a relay, is of another one and goes. Served by the primary key.
 */
export const moveCursor = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set last_id         = $3::bigint,
      hole_lo         = '{}',
      hole_hi         = '{}',
      saved_at        = clock_timestamp(),
      solo_id         = null,
      state           = $4,
      state_reason    = null,
      solo_deaths     = case when $5::boolean then '{}' else solo_deaths end,
      server_identity = case when $5::boolean then null else server_identity end,
      ledger_identity = case when $5::boolean then null else ledger_identity end,
      epoch           = epoch + 1,
      owner           = null
  where stream = $1 and subscription = $2`;
