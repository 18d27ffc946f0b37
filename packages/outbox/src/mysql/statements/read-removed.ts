import type { Identifier } from "@waybill/sql";
import { isReadOnly } from "./is-read-only.ts";

/**
 * Up to which id history of stream ? was removed, and whether the server takes no writes. No row: there is no such stream.
 *
 * 0 if there is a row at or below that id: then ids went back, by TRUNCATE or a restore of the outbox alone, and the note is of another history. Two
 * look-ups in primary keys.
 */
export const readRemoved = (outbox: Identifier, stream: Identifier): string => `
  select
    case when exists (select 1 from ${outbox} where id <= removed_to) then 0 else removed_to end as removed_to,
    ${isReadOnly} as is_read_only
  from ${stream}
  where name = ?`;
