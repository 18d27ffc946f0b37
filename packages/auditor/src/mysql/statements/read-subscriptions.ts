import type { TableName } from "../../table-name.ts";

/**
 * The cursors of a stream.
 *
 * The stream. Whether a lease still holds is asked of the database's clock. Served by the primary key.
 * No row: no relay ever started on the stream.
 */
export const readSubscriptions = (subscriptions: TableName): string => `
  select subscription,
         last_id,
         holes,
         owner,
         lease_until > utc_timestamp(6) as is_lease_valid
  from ${subscriptions}
  where stream = ?
  order by subscription`;
