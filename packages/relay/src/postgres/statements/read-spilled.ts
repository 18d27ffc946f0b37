import type { Identifier } from "@waybill/sql";

/**
 * Reads the copies with sequences $3 from the spill of subscription $2 of stream $1, whole and by sequence. Times as the ledger's reader keeps
 * them: within the years 0 to 9999. One that is gone is missing. Served by the primary key.
 */
export const readSpilled = (spill: Identifier): string => `
  select sequence::text as sequence, message_id::text as message_id, type, topic, key, headers, payload,
         encode(payload_bytes, 'hex') as payload_hex,
         least(greatest(date_part('epoch', created_at) * 1000, -62167219200000), 253402300799999)::bigint::text as created_ms
  from ${spill} as copied
  where stream = $1 and subscription = $2
    and sequence = any($3::bigint[])
  order by copied.sequence`;
