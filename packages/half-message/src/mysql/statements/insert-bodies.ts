import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Inserts so many messages; values of each: the columns in their order. Only who inserted the half message does so, and once. */
export const insertBodies = (bodies: Identifier, count: number): string => `
  insert into ${bodies} (
    producer, id, ordinal, message_id, type, topic, \`key\`, business_key, delay_ms, headers, payload, destinations)
  values ${repeated("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", count, ", ")}`;
