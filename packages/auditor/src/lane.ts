/**
 * The unit of order as one string: two messages share it exactly when topic and key are equal. A message without a key has none.
 * The topic's length in front keeps ("ab", "c") and ("a", "bc") apart whatever the two contain.
 */
export function laneOf(topic: string, key: string | null): string | undefined {
  return key === null ? undefined : `${topic.length}:${topic}${key}`;
}
