import type { Identifier } from "@waybill/sql";

/**
 * Copies of a subscription without what they carry, by lane and sequence.
 *
 * stream · subscription · the last lane wanted · the lane to go on in, its sequence to go on after, the same lane again · the most rows.
 *
 * What is beyond a place is spelled out part by part, for a comparison of whole rows is served by no index here. Served by the index of lanes.
 */
export const listSpilled = (spill: Identifier): string => `
  select sequence, message_id, topic, \`key\`, attempts, may_be_stored,
         coalesce(octet_length(payload), octet_length(payload_bytes), 0)
           + coalesce(octet_length(headers), 0) + coalesce(octet_length(\`key\`), 0) as bytes,
         coalesce(timestampdiff(microsecond, '1970-01-01', created_at) div 1000, -62167219200000) as created_ms
  from ${spill} as copied force index (lane)
  where copied.stream = ? and copied.subscription = ?
    and copied.lane <= ?
    and ((copied.lane = ? and copied.sequence > cast(? as signed)) or copied.lane > ?)
  order by copied.stream, copied.subscription, copied.lane, copied.sequence
  limit ?`;
