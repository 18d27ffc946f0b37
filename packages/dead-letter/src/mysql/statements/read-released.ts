import type { Identifier } from "@waybill/sql";

/**
 * Reads rows with all they carry, in their order, those that are released. ?1 a JSON array of positions. One that is missing has been
 * decided meanwhile. Served by the index on position.
 */
export const readReleased = (letters: Identifier): string => `
  select straight_join letter.position, letter.sequence, convert(letter.message_id using utf8mb4) as message_id, letter.type, letter.topic, letter.\`key\`, letter.headers,
         letter.payload, letter.payload_bytes,
         timestampdiff(microsecond, '1970-01-01', letter.created_at) / 1000 as created_at_ms,
         letter.reason, letter.fingerprint, letter.attempts, letter.may_be_stored,
         timestampdiff(microsecond, '1970-01-01', letter.given_up_at) / 1000 as given_up_at_ms
  from json_table(?, '$[*]' columns (position bigint path '$')) as chosen
  join ${letters} as letter force index (position) on letter.position = chosen.position
  where letter.state = 'released'
  order by letter.sequence, letter.position`;
