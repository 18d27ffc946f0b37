import type { Identifier } from "@waybill/sql";

/**
 * Locks the first $2 rows of stream $1 that are due and not confirmed, without waiting for those that somebody has, and answers them without
 * what they carry: message id, consumer, repeats, bytes of the payload, and for how many milliseconds they have been due. Served by the index on
 * (stream, due_at), from its beginning.
 */
export const lockUnconfirmed = (confirmations: Identifier): string => `
  select message_id, consumer, repeats, (extract(epoch from statement_timestamp() - due_at) * 1000)::float8::text as late_ms,
         coalesce(octet_length(payload), octet_length(payload_bytes), 0) as bytes
  from ${confirmations}
  where stream = $1 and due_at <= statement_timestamp()
  order by stream, due_at, message_id
  limit $2::bigint
  for update skip locked`;
