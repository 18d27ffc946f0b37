import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Ends the lease of `rows` lanes, which we have locked, by writing their rows anew. For each: destination, lane, ms until its next delivery may go and it
 * is not blocked, ms until it is not blocked, failures in a row. Served by the primary key; every row is there.
 */
export const freeLanes = (lanes: Identifier, rows: number): string => `
  insert into ${lanes} (destination, lane, due_at, blocked_until, failures)
  values ${repeated(row, rows, ", ")}
  on duplicate key update
    due_at = values(due_at), blocked_until = values(blocked_until), lease_token = null, failures = values(failures)`;

const row = "(?, ?, utc_timestamp(6) + interval ? * 1000 microsecond, utc_timestamp(6) + interval ? * 1000 microsecond, ?)";
