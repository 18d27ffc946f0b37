import type { Identifier } from "@waybill/sql";

/**
 * Whether messages of another topic than $2 lie among the next rows behind id $1, at most $3 of them, and the last id that was looked at.
 *
 * One row of text; null, null: nothing was committed behind $1. Served by each partition's primary key; payloads are not touched.
 */
export const lookAhead = (outbox: Identifier): string => `
  select max(id)::text, bool_or(topic <> $2)::text
  from (
    select id, topic
    from ${outbox}
    where id > $1::bigint
    order by id
    limit $3::bigint
  ) as ahead`;
