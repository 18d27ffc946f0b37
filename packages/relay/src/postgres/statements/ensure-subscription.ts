import type { Identifier } from "@waybill/sql";

/**
 * Makes the row of subscription $2 of stream $1 if there is none. $3 true: it begins after the highest id handed out so far, asked
 * in the same statement; false: at the beginning. No row back: it was there already, and stays as it is.
 */
export const ensureSubscription = (subscriptions: Identifier, idSequence: Identifier): string => `
  insert into ${subscriptions} (stream, subscription, last_id)
  select $1, $2, case when $3::boolean then (select last_value - (not is_called)::int from ${idSequence}) else 0 end
  on conflict (stream, subscription) do nothing
  returning 1`;
