import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Locks those of `rows` lanes (?2 and on) of destination ?1 that are there, in order, whoever holds them; is_leased: their deliveries are under way, and
 * whoever brings them frees the lane. Served by the primary key.
 */
export const holdLanes = (lanes: Identifier, rows: number): string => `
  select lane, case when lease_token is null then 0 else 1 end as is_leased, failures
  from ${lanes} force index (primary)
  where destination = ? and lane in (${repeated("?", rows, ", ")})
  order by lane
  for update`;
