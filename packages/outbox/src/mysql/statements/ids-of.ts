import type { IdRange } from "../../ledger.ts";

/** Every id of these ranges. */
export function idsOf(ranges: readonly IdRange[]): bigint[] {
  const ids: bigint[] = [];
  for (const { low, high } of ranges) for (let id = low; id <= high; id += 1n) ids.push(id);
  return ids;
}
