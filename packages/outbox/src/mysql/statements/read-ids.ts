import type { Identifier } from "@waybill/sql";
import { rangesFromIds } from "../../id-ranges.ts";
import { idCondition } from "./id-condition.ts";
import { wholeRow } from "./row-columns.ts";

/**
 * Reads rows again that are known to be visible, with their payloads whole: `ids`, ascending. Columns: `row-columns.ts`. One scan of
 * the primary key by ranges. A row that is missing was removed by retention.
 */
export const readIds = (outbox: Identifier, ids: readonly bigint[]): string => `
  select ${wholeRow}
  from ${outbox}
  where ${idCondition(null, rangesFromIds(ids))}
  order by id`;
