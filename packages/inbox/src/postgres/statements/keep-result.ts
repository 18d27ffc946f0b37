import type { Identifier } from "@waybill/sql";

/**
 * Keeps what consumer $1 answered to $3, a message or request as $2 says, with fingerprint $4: $5 as JSON. What was kept before is replaced.
 * Served by the primary key. Answers no row.
 */
export const keepResult = (results: Identifier): string => `
  insert into ${results} (consumer, origin, message_id, fingerprint, result)
  values ($1, $2, $3, $4, $5)
  on conflict (consumer, origin, message_id) do update
  set fingerprint = excluded.fingerprint,
      result      = excluded.result,
      kept_at     = clock_timestamp()`;
