import type { Identifier } from "@waybill/sql";

/**
 * Fences half messages $2 of producer $1 whose fate is not known yet. A business transaction that has joined and is still open is waited
 * for. Which of them it fenced is told by `barrier-read-fates.ts`, in a new statement: what this one waited for it cannot see. Served by the primary key.
 */
export const fenceBarrier = (barrier: Identifier): string => `
  insert into ${barrier} (producer, id, fate)
  select $1, asked.id, 'fenced'
  from unnest($2::text[]) as asked (id)
  order by asked.id
  on conflict do nothing`;
