import type { Identifier } from "@waybill/sql";

/**
 * Locks the versions that consumer ?1 keeps of `count` entities, those that are there, without waiting: ?2, ?3 topic and entity, as hex, of the first, and so on.
 * Error 3572, or 1205 on MariaDB: another unit has one. No table of JSON here, which cannot be locked on MySQL; its range of the primary key for each entity.
 */
export const lockVersions = (versions: Identifier, count: number): string => `
  select 1 as locked
  from ${versions} force index (primary)
  where consumer = ?
    and (${Array.from({ length: count }, () => "(topic = ? and entity = unhex(?))").join(" or ")})
  for update nowait`;
