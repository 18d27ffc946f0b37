import type { Identifier } from "@waybill/sql";

/**
 * Makes the row of a subscription if there is none; one that is there stays as it is.
 *
 * stream · subscription · 1: it begins after the highest id that can be seen, 0: at the beginning, which is where history was removed up to,
 * for what is gone from there would be taken for holes · stream. The stream's row is locked, as whoever removes history does before asking who
 * needs it. The no-op in the end, not `ignore`, which would also swallow a value that is too long.
 */
export const ensureSubscription = (subscriptions: Identifier, outbox: Identifier, streams: Identifier): string => `
  insert into ${subscriptions} (stream, subscription, last_id, holes, solo_deaths)
  select ?, ?, case when ? = 1 then coalesce((select max(id) from ${outbox}), removed_to) else removed_to end, '[]', '{}'
  from ${streams}
  where name = ?
  for update
  on duplicate key update stream = ${subscriptions}.stream`;
