import type { Identifier } from "@waybill/sql";
import { lanesByKey } from "./lanes-by-key.ts";

/** Deletes lanes $2 (an array) of destination $1, which we have locked and in which nothing is open. Served by the primary key. */
export const removeLanes = (lanes: Identifier): string => `
  delete from ${lanes}
  where ctid = any (${lanesByKey(lanes)})`;
