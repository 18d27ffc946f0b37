import type { Identifier } from "@waybill/sql";

/**
 * Locks at most `limit` due lanes of destination ?1, those first that have been due for longest, and answers them. A lane that somebody else is at is
 * passed over. Served by the index of due lanes.
 */
export const findDueLanes = (lanes: Identifier, limit: number): string => `
  select lane, failures
  from ${lanes} force index (due)
  where destination = ? and due_at <= utc_timestamp(6)
  order by due_at
  limit ${limit}
  for update skip locked`;
