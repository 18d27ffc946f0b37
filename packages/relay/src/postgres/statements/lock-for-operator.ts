import type { Identifier } from "@waybill/sql";

/**
 * Locks subscription $2 of stream $1 for somebody who changes it by hand, whoever runs it, and answers how it stands. No row: there is none. Served by
 * the primary key.
 */
export const lockForOperator = (subscriptions: Identifier): string => `
  select state,
         state_reason,
         epoch::text as epoch,
         last_id::text as last_id
  from ${subscriptions}
  where stream = $1 and subscription = $2
  for update`;
