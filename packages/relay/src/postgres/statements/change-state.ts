import type { Identifier } from "@waybill/sql";

/**
 * Puts subscription $2 of stream $1 into state $3, without a reason. The epoch is raised and the owner goes, so that
 * whoever runs it loses its lease at its next write. `lease_until` stays: until then that relay trusts its lease, and no other may begin.
 * Served by the primary key.
 */
export const changeState = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set state        = $3,
      state_reason = null,
      epoch        = epoch + 1,
      owner        = null
  where stream = $1 and subscription = $2`;
