import type { Identifier } from "@waybill/sql";

/** At most `limit` dead deliveries of destination ?1, those first that died first. Served by the index of dead ones. */
export const findDead = (deliveries: Identifier, limit: number): string => `
  select seq, code
  from ${deliveries} force index (dead)
  where destination = ? and dead_at is not null
  order by dead_at, seq
  limit ${limit}`;
