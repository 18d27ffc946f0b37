import type { Identifier } from "@waybill/sql";

/** The topics of the newest $1 rows, at most $2 of them, and how many of their messages have no key. Walks the primary key from its end. */
export const listTopics = (outbox: Identifier): string => `
  select topic,
         sum(case when key is null then 1 else 0 end) as keyless
  from (select topic, key from ${outbox} order by id desc limit $1) as newest
  where topic <> ''
  group by topic
  order by topic
  limit $2`;
