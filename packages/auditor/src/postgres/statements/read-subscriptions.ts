import type { TableName } from "../../table-name.ts";

/**
 * The cursors of stream $1.
 *
 * Whether a lease still holds is asked of the database's clock. Served by the primary key.
 * No row: no relay ever started on the stream.
 */
export const readSubscriptions = (subscriptions: TableName): string => `
  select subscription,
         last_id::text as last_id,
         hole_lo::text[] as hole_lo,
         hole_hi::text[] as hole_hi,
         owner::text as owner,
         lease_until > clock_timestamp() as is_lease_valid
  from ${subscriptions}
  where stream = $1
  order by subscription`;
