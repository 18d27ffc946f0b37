import type { Identifier } from "@waybill/sql";

/** Puts receiver $1 into state $2, for reason $3, by $4; it fails no longer. 0 rows: there is none in another state, or it
 * has been changed since version $5, if that is given. Served by the primary key. */
export const setReceiverState = (receivers: Identifier): string => `
  update ${receivers}
  set state = $2, disabled_reason = $3, failing_since = null, version = version + 1, updated_at = now(), updated_by = $4
  where receiver = $1 and state <> $2 and ($5::integer is null or version = $5)`;
