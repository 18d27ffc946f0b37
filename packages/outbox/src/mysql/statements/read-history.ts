import type { Identifier } from "@waybill/sql";
import { createdMs } from "./row-columns.ts";

/**
 * The next rows that may be history: ids above ? and below ?, ascending, with whether each is older than ? milliseconds by the database's clock. The
 * number of rows is validated. One range of the primary key.
 */
export const readHistory = (outbox: Identifier, rowsMax: number): string => `
  select id, ${createdMs} < timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000 - ? as is_old
  from ${outbox}
  where id > ?
    and id < ?
  order by id
  limit ${BigInt(rowsMax)}`;
