import type { Identifier } from "@waybill/sql";

/**
 * Dead rows of origin ?1 and reader ?2 that were given up for reason ?3 and whose type is one of ?4, a JSON array: the positions of the first
 * ?5 by sequence, not locked. Text is compared as bytes: a collation would take 'a.v1 ' for 'a.v1'.
 *
 * No row: none is left. Served by the index on state. What is done with them is in `lock-dead.ts` and `change-state.ts`.
 */
export const releaseTypes = (letters: Identifier): string => `
  select position
  from ${letters} force index (state)
  where origin = ? and reader = ?
    and state = 'dead'
    and cast(reason as binary) = cast(? as binary)
    and cast(type as binary) in (
          select cast(known.type as binary)
          from json_table(?, '$[*]' columns (type longtext path '$')) as known)
  order by sequence, position
  limit ?`;
