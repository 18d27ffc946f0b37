import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Enters `rows` attempts in the log. For each: seq, attempt, ms since it began, took ms, outcome, status, error. An attempt that was charged to nobody has
 * the number of the next one, whose entry takes its place. Served by the primary key.
 */
export const logAttempts = (attempts: Identifier, rows: number): string => `
  insert into ${attempts} (delivery_seq, attempt, started_at, took_ms, outcome, status, error)
  values ${repeated(row, rows, ", ")}
  on duplicate key update
    started_at = values(started_at), took_ms = values(took_ms), outcome = values(outcome), status = values(status), error = values(error)`;

const row = "(?, ?, utc_timestamp(6) - interval ? * 1000 microsecond, ?, ?, ?, ?)";
