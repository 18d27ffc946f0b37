import type { TableName } from "../../table-name.ts";

/**
 * The dead letters of origin $1 (relay, inbox) whose reader starts with $2, by reader and sequence. Read whole, once.
 *
 * No row: nothing was given up.
 */
export const readDeadLetters = (deadLetters: TableName): string => `
  select reader,
         message_id::text as message_id,
         state,
         encode(sha256(coalesce(payload_bytes, convert_to(payload, 'UTF8'), ''::bytea)), 'hex') as digest
  from ${deadLetters}
  where origin = $1 and starts_with(reader, $2)
  order by reader, sequence, message_id`;
