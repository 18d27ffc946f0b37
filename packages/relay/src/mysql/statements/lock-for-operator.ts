import type { Identifier } from "@waybill/sql";

/**
 * Locks a subscription for somebody who changes it by hand, whoever runs it, and answers how it stands. stream · subscription. No row: there is none.
 * Served by the primary key.
 */
export const lockForOperator = (subscriptions: Identifier): string => `
  select state,
         state_reason,
         epoch,
         last_id
  from ${subscriptions}
  where stream = ? and subscription = ?
  for update`;
