import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Inserts deliveries, as many as `rows` says and in their order.
 *
 * For each: code, producer, id, ordinal, message id, destination, receiver, business key, ack mode, lane (twice) · milliseconds until it is due, null
 * where it has a lane · until it may go, null where it has none or may go at once · until it is given up, null: never.
 */
export const insertDeliveries = (deliveries: Identifier, rows: number): string => `
  insert into ${deliveries}
    (code, producer, id, ordinal, message_id, destination, receiver, business_key, ack_mode, lane, open_lane, due_at, not_before, give_up_at)
  values ${repeated(row, rows, ", ")}`;

const at = "utc_timestamp(6) + interval ? * 1000 microsecond";
const row = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${at}, ${at}, ${at})`;
