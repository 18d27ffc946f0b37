import type { Identifier } from "@waybill/sql";
import { type ColumnForm, inlineRow } from "./row-columns.ts";

/**
 * Reads holes and what lies beyond the last id, with one snapshot: the first $2 rows in id order of everything not read yet.
 *
 * $1 last id read · $2 rows at most · $3, $4 lower and upper ends of the holes, ascending, disjoint, all at or below $1.
 * Columns: `row-columns.ts`. Served by each partition's primary key, pruned per hole when it runs. No row: nothing new.
 *
 * The gate is the last limit: if $2 cut the search among the holes, nothing beyond $1 is read. A transaction that fills holes with
 * more rows than fit would otherwise let a later row of the same key overtake its earlier ones.
 */
export const readWithHoles = (outbox: Identifier, form: ColumnForm): string => `
  with found as materialized (
    select inside.*
    from unnest($3::bigint[], $4::bigint[]) with ordinality as hole (low, high, ordinal)
    cross join lateral (
      select ${inlineRow(form)}
      from ${outbox}
      where id between hole.low and hole.high
      order by id
      limit $2::bigint
    ) as inside
    order by hole.ordinal, inside.id
    limit $2::bigint
  )
  select *
  from found
  union all
  (
    select ${inlineRow(form)}
    from ${outbox}
    where id > $1::bigint
    order by id
    limit greatest(0, $2::bigint - (select count(*) from found))
  )`;
