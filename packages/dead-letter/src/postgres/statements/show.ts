import type { Identifier } from "@waybill/sql";

/**
 * What rows carry: headers, and the payload as it is stored, bytes as hex.
 *
 * $1 message id · $2 origin, $3 reader: null asks for any · $4 the most rows. By origin, reader and sequence. No row: nobody has given it up. An
 * operator's question: nothing serves it for a relay but reading its rows.
 */
export const showDeadLetters = (letters: Identifier): string => `
  select letter.origin, letter.reader, letter.sequence::text as sequence, letter.message_id, letter.headers, letter.payload,
         encode(letter.payload_bytes, 'hex') as payload_hex
  from ${letters} as letter
  where letter.message_id = $1
    and ($2::text is null or letter.origin = $2)
    and ($3::text is null or letter.reader = $3)
  order by letter.origin, letter.reader, letter.sequence
  limit $4`;
