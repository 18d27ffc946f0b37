import type { Identifier } from "@waybill/sql";

/**
 * Puts a subscription into another state, without a reason. The epoch is raised and the owner goes, so that
 * whoever runs it loses its lease at its next write. `lease_until` stays: until then that relay trusts its lease, and no other may begin.
 *
 * state · stream · subscription. Served by the primary key.
 */
export const changeState = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set state        = ?,
      state_reason = null,
      epoch        = epoch + 1,
      owner        = null
  where stream = ? and subscription = ?`;
