import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

const row = `(
  ?, ?, unhex(?), ?, cast(? as signed), ?, ?, ?, ?, ?,
  utc_timestamp(6) + interval (? * 1000) microsecond, utc_timestamp(6) + interval (? * 1000) microsecond)`;

/**
 * Inserts so many half messages, those that are not there; waits for whoever is just inserting the same. Values of each: the columns in their order,
 * with milliseconds to suspend_at and check_at. Served by the primary key. Which rows are ours is read afterwards, by the token.
 */
export const insertHalfMessages = (halfMessages: Identifier, count: number): string => `
  insert into ${halfMessages} (
    producer, id, fingerprint, message_count, prepare_token, barrier, order_key, order_open, traceparent, prepared_by, suspend_at, check_at)
  values ${repeated(row, count, ", ")}
  on duplicate key update message_count = message_count`;
