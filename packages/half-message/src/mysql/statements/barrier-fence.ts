import type { Identifier } from "@waybill/sql";

/** Fences half message ?2 of producer ?1. 1062: its fate is known already, or has become so while we waited. Served by the primary key. */
export const fenceBarrier = (barrier: Identifier): string => `
  insert into ${barrier} (producer, id, fate)
  values (?, ?, 'fenced')`;
