import type { TableName } from "../../table-name.ts";

/**
 * The dead letters of one origin whose reader starts with a text, by reader and sequence. Read whole, once.
 *
 * Names and ids are bytes there, so that no collation takes two for one. relay or inbox · the text, twice. No row: nothing was given up.
 */
export const readDeadLetters = (deadLetters: TableName): string => `
  select convert(reader using utf8mb4) as reader,
         convert(message_id using utf8mb4) as message_id,
         state,
         sha2(coalesce(payload_bytes, cast(payload as binary), ''), 256) as digest
  from ${deadLetters}
  where origin = ? and left(reader, char_length(?)) = ?
  order by 1, sequence, 2`;
