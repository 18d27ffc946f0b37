import type { Identifier } from "@waybill/sql";

/**
 * Raises the versions that consumer ?1 keeps of entities: ?2 a JSON array of objects with topic, entity, as hex, and version, no entity twice, in the
 * order in which they are to be locked. A version that is not higher stays as it is, but is locked, too. A unit that has a row is waited for. What was
 * kept before is told by `read-previous.ts`, in the same transaction.
 *
 * Columns are set in the order of the text, so `previous_version` gets what `version` was. Served by the primary key.
 */
export const raiseVersions = (versions: Identifier): string => `
  insert into ${versions} (consumer, topic, entity, version)
  select ?, given.topic, unhex(given.entity), given.version
  from json_table(?, '$[*]' columns (
         topic varchar(249) path '$.topic', entity varchar(510) path '$.entity', version bigint path '$.version'
       )) as given
  on duplicate key update
    previous_version = ${versions}.version,
    version          = greatest(${versions}.version, given.version),
    raised_at        = utc_timestamp(6)`;
