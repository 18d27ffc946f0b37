import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Locks `rows` deliveries in the order of seq, and answers how they stand now. Served by the primary key. */
export const lockRows = (deliveries: Identifier, rows: number): string => `
  select seq, state, attempts, redeliveries, open_lane, lease_token
  from ${deliveries} force index (primary)
  where seq in (${repeated("?", rows, ", ")})
  order by seq
  for update`;
