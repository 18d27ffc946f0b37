import type { Identifier } from "@waybill/sql";

/**
 * Where the lanes $2 (an array) of destination $1 are, looked up one by one by the primary key: for rows that we have locked, which nobody moves. `lane = any ($2)`
 * would be as right, but without statistics the server takes a destination for a small part of the table, and reads all of it.
 */
export const lanesByKey = (lanes: Identifier): string => `array(
    select found.ctid
    from unnest($2::text[]) as wanted (name)
    cross join lateral (select ctid from ${lanes} where destination = $1 and lane = wanted.name offset 0) as found
  )`;
