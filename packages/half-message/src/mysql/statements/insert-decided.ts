import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

const row = `(
  ?, ?, ?, unhex(?), ?, cast(? as signed), ?, ?, ?, ?,
  utc_timestamp(6), ?, utc_timestamp(6) + interval (? * 1000) microsecond)`;

/**
 * Inserts so many half messages as decided already, where there are none; waits for whoever is just inserting the same. Values of each: the columns
 * in their order, without decided_at and with milliseconds to purge_at. Which rows are ours is read afterwards, by the token.
 */
export const insertDecided = (halfMessages: Identifier, count: number): string => `
  insert into ${halfMessages} (
    producer, id, state, fingerprint, message_count, prepare_token, barrier, order_key, traceparent, prepared_by, decided_at, decided_by, purge_at)
  values ${repeated(row, count, ", ")}
  on duplicate key update message_count = message_count`;
