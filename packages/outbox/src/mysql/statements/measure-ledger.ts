import type { Identifier } from "@waybill/sql";

/**
 * How large a ledger is. stream, twice · schema, null for the session's own · the outbox's name. One row: highest id that can be seen, or up to which
 * history was removed · that · bytes on disk, indexes included, as the server last counted them · the database's clock in milliseconds since 1970.
 */
export const measureLedger = (outbox: Identifier, streams: Identifier): string => `
  select
    greatest(
      coalesce((select max(id) from ${outbox}), 0),
      coalesce((select removed_to from ${streams} where name = ?), 0)
    ) as highest_id,
    (select removed_to from ${streams} where name = ?) as removed_to,
    (select data_length + index_length from information_schema.tables
      where table_schema = coalesce(?, database()) and table_name = ?) as bytes,
    timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000 as now_ms`;
