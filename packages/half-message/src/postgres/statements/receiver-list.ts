import type { Identifier } from "@waybill/sql";

/** At most $2 receivers after $1, by name. Served by the primary key. */
export const listReceivers = (receivers: Identifier): string => `
  select receiver, url, secret, schedule, success, state, disabled_reason, version, updated_by,
         (extract(epoch from failing_since) * 1000)::float8 as failing_since_ms,
         (extract(epoch from now() - failing_since) * 1000)::float8 as failing_for_ms,
         (extract(epoch from updated_at) * 1000)::float8 as updated_at_ms,
         (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
  from ${receivers}
  where receiver > $1
  order by receiver
  limit $2`;
