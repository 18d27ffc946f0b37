import type { Identifier } from "@waybill/sql";

/** How many half messages of a producer a check is due for, now or later: counts to a maximum. Served by the due index. */
export const countUndecided = (halfMessages: Identifier): string => `
  select count(*) as undecided
  from (select 1 from ${halfMessages} force index (due) where producer = ? and check_at is not null limit ?) as counted`;
