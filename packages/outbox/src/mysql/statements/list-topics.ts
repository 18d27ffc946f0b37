import type { Identifier } from "@waybill/sql";

/**
 * The topics of the newest rows, and how many of their messages have no key. rows · most topics. Walks the primary key from its end; rows
 * without a topic are fences.
 */
export const listTopics = (outbox: Identifier): string => `
  select topic,
         sum(case when \`key\` is null then 1 else 0 end) as keyless
  from (select topic, \`key\` from ${outbox} order by id desc limit ?) as newest
  where topic <> ''
  group by topic
  order by topic
  limit ?`;
