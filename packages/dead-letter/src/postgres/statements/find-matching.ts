import type { Identifier } from "@waybill/sql";
import { matchesFilter } from "./matches-filter.ts";

/**
 * Rows that an operator's decision is about, in the order of the primary key, not locked.
 *
 * $1, $2 the states it may be about · $3 to $15 the filter and the last row that was found, see `matches-filter.ts` · $16 the most rows.
 *
 * Fewer than $16: there are no more. With origin and reader given, served by the primary key.
 */
export const findMatching = (letters: Identifier): string => `
  select origin, reader, sequence::text as sequence, message_id, position::text as position
  from ${letters}
  where state in ($1, $2)
    and ${matchesFilter(3)}
  order by origin, reader, sequence, message_id
  limit $16`;
