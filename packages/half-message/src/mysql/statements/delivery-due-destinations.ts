import type { Identifier } from "@waybill/sql";

/**
 * Where something is or will be due, and in how many ms: of lanes, and of deliveries without one. A loose scan of the two indexes of due times, so it
 * costs what there are destinations, not what there are rows: in each group \`min\` passes over nulls.
 */
export const dueDestinations = (deliveries: Identifier, lanes: Identifier): string => `
  select destination, timestampdiff(microsecond, utc_timestamp(6), min(due_at)) / 1000 as after_ms
  from (
    select destination, min(due_at) as due_at from ${lanes} group by destination
    union all
    select destination, min(due_at) as due_at from ${deliveries} group by destination
  ) as due
  where due_at is not null
  group by destination`;
