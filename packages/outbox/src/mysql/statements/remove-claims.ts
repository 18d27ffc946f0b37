import type { Identifier } from "@waybill/sql";

/** Forgets claims of callers' own ids that are older than ? milliseconds by the database's clock, the oldest first. Served by the index on created_at. */
export const removeClaims = (ids: Identifier, rowsMax: number): string => `
  delete from ${ids}
  where created_at < utc_timestamp(6) - interval ? * 1000 microsecond
  order by created_at
  limit ${BigInt(rowsMax)}`;
