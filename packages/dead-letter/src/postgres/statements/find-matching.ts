import type { Identifier } from "@waybill/sql";

/**
 * Rows that an operator's decision is about, in the order of the primary key, not locked.
 *
 * $1, $2 the states it may be about · $3 origin · $4 reader · $5 state · $6 topic · $7 type · $8 message id: null asks for any · $9, $10,
 * $11, $12 origin, reader, sequence and message id of the last row that was found, or four nulls · $13 the most rows.
 *
 * Fewer than $13: there are no more. With origin and reader given, served by the primary key.
 */
export const findMatching = (letters: Identifier): string => `
  select origin, reader, sequence::text as sequence, message_id, position::text as position
  from ${letters}
  where state in ($1, $2)
    and ($3::text is null or origin = $3)
    and ($4::text is null or reader = $4)
    and ($5::text is null or state = $5)
    and ($6::text is null or topic = $6)
    and ($7::text is null or type = $7)
    and ($8::text is null or message_id = $8)
    and ($9::text is null or (origin, reader, sequence, message_id) > ($9, $10, $11::bigint, $12))
  order by origin, reader, sequence, message_id
  limit $13`;
