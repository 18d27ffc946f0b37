import type { HalfMessageKey } from "../table.ts";

/** Keys for a statement: of each producer in turn how many, and as values the producer and its ids. */
export interface KeysByProducer {
  readonly counts: readonly number[];
  readonly values: string[];
}

export function keysByProducer(keys: readonly HalfMessageKey[]): KeysByProducer {
  const idsOf = new Map<string, string[]>();
  for (const { producer, id } of keys) {
    const ids = idsOf.get(producer);
    if (ids === undefined) idsOf.set(producer, [id]);
    else ids.push(id);
  }
  return { counts: [...idsOf.values()].map((ids) => ids.length), values: [...idsOf].flatMap(([producer, ids]) => [producer, ...ids]) };
}

/** As pairs: producer and id of each. */
export function keyValues(keys: readonly HalfMessageKey[]): string[] {
  return keys.flatMap(({ producer, id }) => [producer, id]);
}
