import type { Identifier } from "@waybill/sql";

/**
 * Copies of subscription $2 of stream $1 without what they carry, by lane and sequence: beyond lane $3 and sequence $4, up to lane $5 (lanes as
 * hex), at most $6. octet_length does not unpack what lies beside the table. Served by the index of lanes. The order is that of the table's columns:
 * bare names would be those of what is selected, and sequences sorted as text.
 */
export const listSpilled = (spill: Identifier): string => `
  select sequence::text as sequence, message_id::text as message_id, topic, key, attempts::text as attempts,
         case when may_be_stored then 1 else 0 end as may_be_stored,
         (coalesce(octet_length(payload), octet_length(payload_bytes), 0)
           + coalesce(octet_length(headers), 0) + coalesce(octet_length(key), 0))::text as bytes,
         least(greatest(date_part('epoch', created_at) * 1000, -62167219200000), 253402300799999)::bigint::text as created_ms
  from ${spill} as copied
  where stream = $1 and subscription = $2
    and (lane, sequence) > (decode($3, 'hex'), $4::bigint)
    and lane <= decode($5, 'hex')
  order by copied.lane, copied.sequence
  limit $6`;
