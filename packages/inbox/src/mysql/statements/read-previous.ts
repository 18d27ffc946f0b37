import type { Identifier } from "@waybill/sql";

/**
 * The versions that consumer ?2 kept of entities before `raise-versions.ts` in the same transaction, which locked their rows: ?1 what that was given.
 * Answers the places in the array, from 1, and the version as text, or null where none was kept. Served by the primary key.
 */
export const readPrevious = (versions: Identifier): string => `
  select given.place, cast(known.previous_version as char) as previous
  from json_table(?, '$[*]' columns (
         place for ordinality, topic varchar(249) character set ascii path '$.topic', entity varchar(510) path '$.entity'
       )) as given
  straight_join ${versions} as known force index (primary)
    on known.consumer = ? and known.topic = given.topic and known.entity = unhex(given.entity)`;
