import type { Identifier } from "@waybill/sql";

/** At most `limit` receivers after ?1, by name. Served by the primary key. */
export const listReceivers = (receivers: Identifier, limit: number): string => `
  select receiver, url, secret, schedule, success, state, disabled_reason, version, updated_by,
         timestampdiff(microsecond, '1970-01-01', failing_since) / 1000 as failing_since_ms,
         timestampdiff(microsecond, failing_since, utc_timestamp(6)) / 1000 as failing_for_ms,
         timestampdiff(microsecond, '1970-01-01', updated_at) / 1000 as updated_at_ms,
         timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 as now_ms
  from ${receivers}
  where receiver > ?
  order by receiver
  limit ${limit}`;
