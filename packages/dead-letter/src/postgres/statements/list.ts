import type { Identifier } from "@waybill/sql";
import { matchesFilter } from "./matches-filter.ts";

/**
 * Lists rows without their payload, in the order of the primary key.
 *
 * $1 to $13 the filter and the last row that was seen, see `matches-filter.ts` · $14 the most rows.
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
  where ${matchesFilter(1)}
  order by origin, reader, sequence, message_id
  limit $14`;
