import type { Identifier } from "@waybill/sql";

/**
 * Raises the versions that consumer $1 keeps of entities: $2 a JSON array of objects with topic, entity and version, no entity twice, in the order
 * in which they are to be locked. A version that is not higher stays as it is, but is locked, too. A unit that has a row is waited for.
 *
 * Answers each entity, and the version that was kept before it, or null. Served by the primary key.
 */
export const raiseVersions = (versions: Identifier): string => `
  insert into ${versions} as known (consumer, topic, entity, version)
  select $1, given.topic, given.entity, given.version
  from json_to_recordset($2::json) as given (topic text, entity text, version bigint)
  on conflict (consumer, topic, entity) do update
  set version          = greatest(known.version, excluded.version),
      previous_version = known.version,
      raised_at        = clock_timestamp()
  returning topic, entity, previous_version::text as previous`;
