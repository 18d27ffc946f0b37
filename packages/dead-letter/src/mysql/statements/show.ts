import type { Identifier } from "@waybill/sql";

/**
 * What rows carry: headers, and the payload as it is stored, bytes as they are.
 *
 * message id · origin twice, reader twice: null asks for any · the most rows. By origin, reader and sequence. No row: nobody has given it up. An
 * operator's question: nothing serves it for a relay but reading its rows.
 */
export const showDeadLetters = (letters: Identifier): string => `
  select letter.origin, convert(letter.reader using utf8mb4) as reader, letter.sequence,
         convert(letter.message_id using utf8mb4) as message_id, letter.headers, letter.payload, letter.payload_bytes
  from ${letters} as letter
  where letter.message_id = ?
    and (? is null or letter.origin = ?)
    and (? is null or letter.reader = ?)
  order by letter.origin, letter.reader, letter.sequence
  limit ?`;
