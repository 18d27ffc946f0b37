import type { TableName } from "../table-name.ts";

/**
 * The cursors of stream $1, with the number of messages each has copied aside.
 *
 * Whether a lease still holds is asked of the database's clock. Served by the primary keys of both tables.
 * No row: no relay ever started on the stream.
 */
export const readSubscriptions = (subscriptions: TableName, spill: TableName): string => `
  select s.subscription,
         s.last_id::text as last_id,
         coalesce(s.hole_lo, '{}')::text[] as hole_lo,
         coalesce(s.hole_hi, '{}')::text[] as hole_hi,
         s.owner::text as owner,
         coalesce(s.lease_until > clock_timestamp(), false) as is_lease_valid,
         (select count(*) from ${spill} c where c.stream = s.stream and c.subscription = s.subscription)::text as spilled
  from ${subscriptions} s
  where s.stream = $1
  order by s.subscription`;
