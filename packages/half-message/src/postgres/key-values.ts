import type { HalfMessageKey } from "../table.ts";

/** Keys as one value of a statement: a JSON array. */
export function keyValues(keys: readonly HalfMessageKey[]): string {
  return JSON.stringify(keys.map(({ producer, id }) => ({ producer, id })));
}
