import type { Identifier } from "@waybill/sql";

/** At most $2 dead deliveries of destination $1, those first that died first. Served by the index of dead ones. */
export const findDead = (deliveries: Identifier): string => `
  select seq, code
  from ${deliveries}
  where destination = $1 and dead_at is not null
  order by dead_at, seq
  limit $2`;
