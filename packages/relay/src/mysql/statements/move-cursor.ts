import type { Identifier } from "@waybill/sql";

/**
 * Lets a subscription go on after an id, with nothing below it to read again. The epoch is raised and the owner goes, so that
 * whoever runs it loses its lease at its next write. `lease_until` stays: until then that relay trusts its lease, and no other may begin.
 *
 * id · state · 1: what was known of the ledger, and of messages that killed a relay, is of another one and goes; three times · stream · subscription.
 * Served by the primary key.
 */
export const moveCursor = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set last_id         = ?,
      holes           = '[]',
      saved_at        = utc_timestamp(6),
      solo_id         = null,
      state           = ?,
      state_reason    = null,
      solo_deaths     = case when ? = 1 then '{}' else solo_deaths end,
      server_identity = case when ? = 1 then null else server_identity end,
      ledger_identity = case when ? = 1 then null else ledger_identity end,
      epoch           = epoch + 1,
      owner           = null
  where stream = ? and subscription = ?`;
