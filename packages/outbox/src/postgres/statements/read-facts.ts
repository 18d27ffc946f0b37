import type { Identifier } from "@waybill/sql";

/**
 * Reads what must be true before a relay trusts its memory of a ledger.
 *
 * $1 stream. One row: read-only · highest id handed out · step and cache of the ids' sequence · the server's encoding · server and
 * timeline (a standby cannot tell its timeline this way, and is refused anyway) · the ledger's random id, null if the stream has no
 * row · up to which id history was removed · the database's clock in milliseconds since 1970 · whether the server waits for the disk at all, and
 * at a commit unless it is told otherwise.
 */
export const readFacts = (sequence: Identifier, stream: Identifier): string => `
  select
    pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as is_read_only,
    (select last_value - (not is_called)::int from ${sequence}) as highest_id,
    (select seqincrement from pg_sequence where seqrelid = '${sequence}'::regclass) as step,
    (select seqcache from pg_sequence where seqrelid = '${sequence}'::regclass) as cache,
    current_setting('server_encoding') as encoding,
    (select system_identifier from pg_control_system()) || '/' ||
      case when pg_is_in_recovery() then 'standby' else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as server,
    (select ledger_id from ${stream} where name = $1) as ledger_id,
    (select removed_to from ${stream} where name = $1) as removed_to,
    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint as now_ms,
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit`;
