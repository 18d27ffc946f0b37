import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Leases `rows` lanes, which we have locked, for ?1 (and ?2) ms under token ?3: those of destination ?4 that follow. Served by the primary key. */
export const leaseLanes = (lanes: Identifier, rows: number): string => `
  update ${lanes}
  set due_at        = utc_timestamp(6) + interval ? * 1000 microsecond,
      blocked_until = utc_timestamp(6) + interval ? * 1000 microsecond,
      lease_token   = ?
  where destination = ? and lane in (${repeated("?", rows, ", ")})`;
