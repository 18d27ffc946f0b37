import type { Identifier } from "@waybill/sql";

/**
 * Lists rows without their payload, in the order of the primary key.
 *
 * $1 origin · $2 reader · $3 state · $4 topic · $5 type · $6 message id: null asks for any · $7, $8, $9, $10 origin, reader, sequence
 * and message id of the last row that was seen, or four nulls · $11 the most rows.
 *
 * No row: nothing (more) matches. With origin and reader given, served by the primary key.
 */
export const listDeadLetters = (letters: Identifier): string => `
  select origin, reader, sequence::text as sequence, message_id, type, topic, key,
         coalesce(octet_length(payload), octet_length(payload_bytes))::text as payload_bytes,
         (extract(epoch from created_at) * 1000)::text as created_at_ms,
         state, reason, attempts::text as attempts,
         case when may_be_stored then 1 else 0 end as may_be_stored,
         (extract(epoch from given_up_at) * 1000)::text as given_up_at_ms,
         (extract(epoch from decided_at) * 1000)::text as decided_at_ms
  from ${letters}
  where ($1::text is null or origin = $1)
    and ($2::text is null or reader = $2)
    and ($3::text is null or state = $3)
    and ($4::text is null or topic = $4)
    and ($5::text is null or type = $5)
    and ($6::text is null or message_id = $6)
    and ($7::text is null or (origin, reader, sequence, message_id) > ($7, $8, $9::bigint, $10))
  order by origin, reader, sequence, message_id
  limit $11`;
