import type { IdRange } from "../../ledger.ts";

/**
 * The condition that an id lies in one of these ranges, or above `above` if that is not null. Made of numbers only, which come from
 * bigints and are nothing else: ten thousand ranges have no place among parameters.
 *
 * `id > …` comes first, because each row found is checked against the list from the left, and most rows lie there. The server reads all of it as one
 * scan of the primary key by ranges. At least one of both must be given.
 */
export function idCondition(above: bigint | null, ranges: readonly IdRange[]): string {
  const arms = above === null ? [] : [`id > ${above}`];
  for (const { low, high } of ranges) arms.push(low === high ? `id = ${low}` : `id between ${low} and ${high}`);
  if (arms.length === 0) throw new Error("A condition on ids needs a range.");
  return arms.join(" or ");
}
