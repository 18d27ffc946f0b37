import type { Identifier } from "@waybill/sql";
import { wholeRow } from "./row-columns.ts";

/**
 * Reads rows again that are known to be visible, with their payloads whole.
 *
 * $1 ids, ascending. Columns: `row-columns.ts`. Served by each partition's primary key, pruned per id when it runs. A row that is
 * missing was removed by retention.
 */
export const readIds = (outbox: Identifier): string => `
  select found.*
  from unnest($1::bigint[]) with ordinality as wanted (wanted_id, ordinal)
  cross join lateral (
    select ${wholeRow}
    from ${outbox}
    where id = wanted.wanted_id
  ) as found
  order by wanted.ordinal`;
