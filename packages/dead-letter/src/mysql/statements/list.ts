import type { Identifier } from "@waybill/sql";
import { matchesFilter } from "./matches-filter.ts";

/**
 * Lists rows without their payload, in the order of the primary key.
 *
 * The filter and the last row that was seen, see `matches-filter.ts` · last the most rows.
 *
 * No row: nothing (more) matches. With origin and reader given, served by the primary key.
 */
export const listDeadLetters = (letters: Identifier): string => `
  select origin, convert(reader using utf8mb4) as reader, sequence, convert(message_id using utf8mb4) as message_id, type, topic, \`key\`,
         coalesce(octet_length(payload), octet_length(payload_bytes)) as payload_bytes,
         timestampdiff(microsecond, '1970-01-01', created_at) / 1000 as created_at_ms,
         state, reason, attempts, may_be_stored,
         timestampdiff(microsecond, '1970-01-01', given_up_at) / 1000 as given_up_at_ms,
         timestampdiff(microsecond, '1970-01-01', decided_at) / 1000 as decided_at_ms
  from ${letters} as letter force index (primary)
  where true
    ${matchesFilter}
  order by letter.origin, letter.reader, letter.sequence, letter.message_id
  limit ?`;
