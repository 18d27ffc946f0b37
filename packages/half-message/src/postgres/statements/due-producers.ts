import type { Identifier } from "@waybill/sql";

/**
 * Producers with undecided half messages, and when the next check of each is due: hops from producer to producer in the due index, so that it costs
 * what there are producers, and never what there are rows.
 */
export const dueProducers = (halfMessages: Identifier): string => `
  with recursive due as (
    (select producer, check_at from ${halfMessages} where check_at is not null order by producer, check_at limit 1)
    union all
    select n.producer, n.check_at
    from due
    cross join lateral (
      select producer, check_at
      from ${halfMessages}
      where check_at is not null and producer > due.producer
      order by producer, check_at
      limit 1
    ) n
  )
  select producer, (extract(epoch from check_at - clock_timestamp()) * 1000)::float8 as after_ms
  from due`;
