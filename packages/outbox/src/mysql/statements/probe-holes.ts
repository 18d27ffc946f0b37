import type { Identifier } from "@waybill/sql";
import { countIds } from "../../id-ranges.ts";
import type { IdRange } from "../../ledger.ts";
import { idsPerTryMax } from "../hole-proof.ts";
import { idCondition } from "./id-condition.ts";
import { idsOf } from "./ids-of.ts";

/**
 * Looks into holes without waiting: one row if any of their ids has a committed row, which the next read brings; error 3572 (MySQL) or 1205
 * (MariaDB) if somebody holds a lock on one, and so may still be writing; no row if neither. Always over whole holes: what is locked at the head of
 * one may belong to a statement that has not reached its tail.
 *
 * That it finds nothing proves nothing. It spares the writers it does find the wait for our insert. Ids are asked for one by one, as far as that is
 * short: a search by range also locks the row behind it, and every hole below an open transaction's row would seem alive.
 */
export const probeHoles = (outbox: Identifier, holes: readonly IdRange[]): string => `
  select id
  from ${outbox} force index (primary)
  where ${countIds(holes) <= idsPerTryMax ? `id in (${idsOf(holes).join(", ")})` : idCondition(null, holes)}
  order by id
  limit 1
  for update nowait`;
