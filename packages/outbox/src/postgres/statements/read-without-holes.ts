import type { Identifier } from "@waybill/sql";
import { type ColumnForm, inlineRow } from "./row-columns.ts";

/**
 * Reads what lies beyond the last id.
 *
 * $1 last id read · $2 rows at most. Columns: `row-columns.ts`. Served by each partition's primary key, those below $1 pruned when
 * it runs. No row: nothing was committed beyond $1.
 */
export const readWithoutHoles = (outbox: Identifier, form: ColumnForm): string => `
  select ${inlineRow(form)}
  from ${outbox}
  where id > $1::bigint
  order by id
  limit $2::bigint`;
