import type { Identifier } from "@waybill/sql";
import { createdMs } from "./row-columns.ts";

/**
 * One probe of a binary search for the place of a time in the ledger: the first row at or above id ?, with its time in milliseconds since
 * 1970. No row: there is none. Served by the primary key. Some forty probes find any time; MariaDB has no LATERAL to do it in one statement.
 */
export const findIdAtTime = (outbox: Identifier): string => `
  select id, ${createdMs} as created_ms
  from ${outbox}
  where id >= ?
  order by id
  limit 1`;
