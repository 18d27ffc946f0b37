import type { Identifier } from "@waybill/sql";

/** How many half messages of producer $1 a check is due for, now or later: counts to $2 at most. Served by the due index. */
export const countUndecided = (halfMessages: Identifier): string => `
  select count(*)::integer as undecided
  from (select 1 from ${halfMessages} where producer = $1 and check_at is not null limit $2) as counted`;
