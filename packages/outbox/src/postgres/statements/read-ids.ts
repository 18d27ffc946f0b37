import type { Identifier } from "@waybill/sql";
import { type ColumnForm, wholeRow } from "./row-columns.ts";

/**
 * Reads rows again that are known to be visible, with their payloads whole.
 *
 * $1 ids, ascending. Columns: `row-columns.ts`. Served by each partition's primary key, pruned per id when it runs. A row that is
 * missing was removed by retention. A range and a limit, where equality would do: with equality the planner may scan a partition that
 * was empty when it was analysed.
 */
export const readIds = (outbox: Identifier, form: ColumnForm): string => `
  select found.*
  from unnest($1::bigint[]) with ordinality as wanted (wanted_id, ordinal)
  cross join lateral (
    select ${wholeRow(form)}
    from ${outbox}
    where id between wanted.wanted_id and wanted.wanted_id
    order by id
    limit 1
  ) as found
  order by wanted.ordinal`;
