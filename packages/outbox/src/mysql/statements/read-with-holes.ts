import type { Identifier } from "@waybill/sql";
import type { IdRange } from "../../ledger.ts";
import { idCondition } from "./id-condition.ts";
import { inlineRow } from "./row-columns.ts";

/**
 * Reads holes and what lies beyond the last id, as one snapshot: the first `rowsMax` rows in id order of everything not read yet.
 *
 * `lastId`: nothing beyond it is read if null · `holes` ascending, disjoint, all at or below the last id. No parameters. Columns:
 * `row-columns.ts`. One scan of the primary key by ranges, so that a limit that ends it among the holes ends it before anything beyond
 * them, and no gate is needed.
 */
export const readWithHoles = (outbox: Identifier, lastId: bigint | null, holes: readonly IdRange[], rowsMax: number): string => `
  select ${inlineRow}
  from ${outbox}
  where ${idCondition(lastId, holes)}
  order by id
  limit ${BigInt(rowsMax)}`;
