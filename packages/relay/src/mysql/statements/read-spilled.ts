import type { Identifier } from "@waybill/sql";

/**
 * Reads copies from the spill of a subscription, whole and by sequence: stream · subscription, then as many sequences as `count` says. A zero date
 * counts as the first of all times, as for the ledger's reader. One that is gone is missing. Served by the primary key.
 */
export const readSpilled = (spill: Identifier, count: number): string => `
  select sequence, message_id, type, topic, \`key\`, headers, payload, payload_bytes,
         coalesce(timestampdiff(microsecond, '1970-01-01', created_at) div 1000, -62167219200000) as created_ms
  from ${spill}
  where stream = ? and subscription = ?
    and sequence in (${Array.from({ length: count }, () => "?").join(", ")})
  order by sequence`;
