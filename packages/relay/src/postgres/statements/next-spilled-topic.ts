import type { Identifier } from "@waybill/sql";

/** The topic of the first copy of subscription $2 of stream $1 whose lane lies behind $3, given as hex. No row: there is none. */
export const nextSpilledTopic = (spill: Identifier): string => `
  select topic
  from ${spill}
  where stream = $1 and subscription = $2
    and lane > decode($3, 'hex')
  order by lane, sequence
  limit 1`;
