import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Locks those of `rows` lanes (?2 and on) of destination ?1 that we still hold under the token that comes last, in order, and answers them. Served by the primary key. */
export const lockLanes = (lanes: Identifier, rows: number): string => `
  select lane
  from ${lanes} force index (primary)
  where destination = ? and lane in (${repeated("?", rows, ", ")}) and lease_token = ?
  order by lane
  for update`;
