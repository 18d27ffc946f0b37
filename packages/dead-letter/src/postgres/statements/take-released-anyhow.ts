import type { Identifier } from "@waybill/sql";

/**
 * Locks the first $3 released rows of reader $2 of origin $1, by sequence within a key, and answers them with all they carry, up to $4 bytes of payload
 * beyond the first. Lanes do not matter.
 *
 * A row that another unit has is left out; one that is locked here and beyond the bytes is left to the next call. No row: none is left, or others have
 * them. Served by the index of released rows, in whose order they are asked for.
 */
export const takeReleasedAnyhow = (letters: Identifier): string => `
  with locked as materialized (
    select *
    from ${letters}
    where origin = $1 and reader = $2
      and state = 'released'
    order by left(key, 255), sequence, position
    limit $3
    for update skip locked
  ),
  weighed as (
    select locked.*,
           sum(coalesce(octet_length(payload), octet_length(payload_bytes), 0)) over up_to_here as bytes,
           row_number() over up_to_here as place
    from locked
    window up_to_here as (order by sequence, position)
  )
  select sequence::text as sequence, message_id, type, topic, key, headers, payload,
         encode(payload_bytes, 'hex') as payload_hex,
         (extract(epoch from created_at) * 1000)::text as created_at_ms,
         reason, fingerprint, attempts::text as attempts,
         case when may_be_stored then 1 else 0 end as may_be_stored,
         (extract(epoch from given_up_at) * 1000)::text as given_up_at_ms
  from weighed
  where place = 1 or bytes <= $4
  order by place`;
