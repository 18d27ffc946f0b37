import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of reader $2 of origin $1 from sequence $3 on that are in state $4 or $5: what would keep their messages from being published again.
 * Served by the primary key.
 */
export const removeFrom = (letters: Identifier): string => `
  delete from ${letters}
  where origin = $1 and reader = $2
    and sequence >= $3::bigint
    and state in ($4, $5)`;
