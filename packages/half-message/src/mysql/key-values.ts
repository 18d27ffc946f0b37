import type { HalfMessageKey } from "../table.ts";

/** Keys as the values of a statement: producer and id of each. */
export function keyValues(keys: readonly HalfMessageKey[]): string[] {
  return keys.flatMap(({ producer, id }) => [producer, id]);
}
