import type { Identifier } from "@waybill/sql";

/**
 * Finds where in the ledger a time lies: an id below which all rows are older, and from which on none is. Nearly: an id is handed
 * out a moment before the clock is read, and clocks are corrected, so leave a margin.
 *
 * $1 milliseconds since 1970. One row: the id as text; one more than the highest if everything is older; null for an empty ledger.
 * A binary search over the primary key: some forty probes, whatever the size.
 */
export const findIdAtTime = (outbox: Identifier): string => `
  with recursive narrowed (low, high) as (
    select min(id), max(id) + 1
    from ${outbox}
    union all
    select
      case when probe.is_before then middle.id + 1 else narrowed.low end,
      case when probe.is_before then narrowed.high else middle.id end
    from narrowed
    cross join lateral (select narrowed.low + (narrowed.high - narrowed.low) / 2 as id) as middle
    cross join lateral (
      select created_at < to_timestamp($1::double precision / 1000) as is_before
      from ${outbox}
      where id >= middle.id
      order by id
      limit 1
    ) as probe
    where narrowed.low < narrowed.high
  )
  select max(low)::text as id
  from narrowed`;
