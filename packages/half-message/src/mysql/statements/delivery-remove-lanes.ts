import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Deletes `rows` lanes of destination ?1, which we have locked and in which nothing is open. Served by the primary key. */
export const removeLanes = (lanes: Identifier, rows: number): string => `
  delete from ${lanes}
  where destination = ? and lane in (${repeated("?", rows, ", ")})`;
