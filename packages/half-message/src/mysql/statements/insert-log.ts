import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Enters so many log entries, in their order; values of each: the columns in their order, without the time. */
export const insertLog = (log: Identifier, count: number): string => `
  insert into ${log} (producer, id, event, from_state, to_state, actor, reason, check_number)
  values ${repeated("(?, ?, ?, ?, ?, ?, ?, ?)", count, ", ")}`;
