import type { Identifier } from "@waybill/sql";
import { isReadOnly } from "./is-read-only.ts";
import { serverIdentity } from "./server-identity.ts";

/**
 * Reads what must be true before a relay trusts its memory of a ledger.
 *
 * ? schema, null for the session's own · ? the outbox's name · ? the same two again · ? stream, twice. One row, all text: read-only · highest id handed out · engine ·
 * whether the binary log is written as statements · largest packet · step of ids · Galera · what a commit waits for · server · the ledger's random
 * id, null if the stream has no row · up to which id history was removed · the database's clock in milliseconds since 1970.
 *
 * The counter is what the engine holds in memory (the session's \`information_schema_stats_expiry\` must be 0), open transactions included; it is
 * kept over a restart. Where it tells less than the table – a user who may not see it, a counter set back – the highest id that is there counts.
 */
export const readFacts = (outbox: Identifier, stream: Identifier): string => `
  select
    ${isReadOnly} as is_read_only,
    greatest(
      coalesce((select auto_increment - 1 from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?), 0),
      coalesce((select max(id) from ${outbox}), 0)
    ) as highest_id,
    (select engine from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?) as engine,
    @@log_bin and @@global.binlog_format = 'STATEMENT' as is_logged_as_statements,
    @@global.max_allowed_packet as packet_bytes_max,
    @@global.auto_increment_increment as id_step,
    /*!80000 0 */ /*M! @@global.wsrep_on */ as is_galera,
    @@global.innodb_flush_log_at_trx_commit as flush_at_commit,
    ${serverIdentity} as server,
    (select ledger_id from ${stream} where name = ?) as ledger_id,
    (select removed_to from ${stream} where name = ?) as removed_to,
    timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000 as now_ms`;
