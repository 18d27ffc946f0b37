import type { TableName } from "../../table-name.ts";

/**
 * Every row of a ledger in id order, fences included.
 *
 * The payload's digest is computed in the database, so that no driver's decoding stands between the bytes and the judgement.
 * Served by the primary key. No row: nothing was ever appended, or retention removed it.
 */
export const readRows = (outbox: TableName): string => `
  select id as sequence,
         message_id,
         type,
         topic,
         \`key\`,
         sha2(coalesce(payload_bytes, cast(payload as binary), ''), 256) as digest
  from ${outbox}
  order by id`;
