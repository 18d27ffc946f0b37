import type { Identifier } from "@waybill/sql";

/**
 * Whether messages of another topic lie among the next rows, and the last id that was looked at. topic, last id, rows at most.
 *
 * One row; null, null: nothing was committed behind the last id. Served by the primary key; payloads that lie off the page are not touched.
 */
export const lookAhead = (outbox: Identifier): string => `
  select max(id), max(topic <> ?)
  from (
    select id, topic
    from ${outbox}
    where id > ?
    order by id
    limit ?
  ) as ahead`;
