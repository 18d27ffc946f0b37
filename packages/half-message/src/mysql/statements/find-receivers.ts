import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Which of so many names are registered. Served by the primary key. */
export const findReceivers = (receivers: Identifier, count: number): string => `
  select receiver
  from ${receivers}
  where receiver in (${repeated("?", count, ", ")})`;
