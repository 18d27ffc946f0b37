import type { Identifier } from "@waybill/sql";

/**
 * Enters attempts in the log. $1 a JSON array of objects: seq, attempt, ago_ms (when it began), took_ms, outcome, status, error. An attempt that was
 * charged to nobody has the number of the next one, whose entry takes its place. Served by the primary key.
 */
export const logAttempts = (attempts: Identifier): string => `
  insert into ${attempts} (delivery_seq, attempt, started_at, took_ms, outcome, status, error)
  select seq, attempt, now() - ago_ms * interval '1 millisecond', took_ms, outcome, status, error
  from json_to_recordset($1::json) as made (
         seq bigint, attempt integer, ago_ms float8, took_ms integer, outcome text, status smallint, error text)
  on conflict (delivery_seq, attempt) do update
  set started_at = excluded.started_at, took_ms = excluded.took_ms, outcome = excluded.outcome, status = excluded.status, error = excluded.error`;
