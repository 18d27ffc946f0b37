import type { Identifier } from "@waybill/sql";
import { matchesFilter } from "./matches-filter.ts";

/**
 * Rows that an operator's decision is about, in the order of the primary key, not locked.
 *
 * ?1, ?2 the states it may be about · then the filter and the last row that was found, see `matches-filter.ts` · last the most rows.
 *
 * Fewer than that: there are no more. With origin and reader given, served by the primary key.
 */
export const findMatching = (letters: Identifier): string => `
  select origin, convert(reader using utf8mb4) as reader, sequence, convert(message_id using utf8mb4) as message_id, position
  from ${letters} as letter force index (primary)
  where state in (?, ?)
    ${matchesFilter}
  order by letter.origin, letter.reader, letter.sequence, letter.message_id
  limit ?`;
