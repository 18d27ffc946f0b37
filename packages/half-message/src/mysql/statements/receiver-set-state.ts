import type { Identifier } from "@waybill/sql";

/** Puts a receiver into state ?1, for reason ?2, by ?3 – and ?4 the state again, ?5 its name; ?6 and ?7 the version that it must have, or null; it fails no longer. 0 rows: there is none in another state, or of that version. Served by the primary key. */
export const setReceiverState = (receivers: Identifier): string => `
  update ${receivers}
  set state = ?, disabled_reason = ?, failing_since = null, version = version + 1, updated_at = utc_timestamp(6), updated_by = ?
  where state <> ? and receiver = ? and (? is null or version = ?)`;
