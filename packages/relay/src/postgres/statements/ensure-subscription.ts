import type { Identifier } from "@waybill/sql";

/**
 * Makes the row of subscription $2 of stream $1 if there is none. $3 true: it begins after the highest id handed out so far, asked
 * in the same statement; false: at the beginning, which is where history was removed up to, for what is gone from there would be taken for
 * holes. The stream's row is locked, as whoever removes history does before asking who needs it. No row back: it was there already, and stays as it is.
 */
export const ensureSubscription = (subscriptions: Identifier, idSequence: Identifier, streams: Identifier): string => `
  insert into ${subscriptions} (stream, subscription, last_id)
  select $1, $2, case when $3::boolean then (select last_value - (not is_called)::int from ${idSequence}) else removed_to end
  from ${streams}
  where name = $1
  for update
  on conflict (stream, subscription) do nothing
  returning 1`;
