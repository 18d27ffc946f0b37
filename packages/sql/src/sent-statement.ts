import type { OwnedValue } from "./database.ts";

/** A statement as it was sent. */
export interface SentStatement {
  readonly sql: string;
  readonly values: readonly OwnedValue[];
}

/** True if both say the same with the same values, to the byte. */
export function isSame(one: SentStatement, other: SentStatement): boolean {
  return (
    one.sql === other.sql &&
    one.values.length === other.values.length &&
    one.values.every((value, index) => isSameValue(value, other.values[index]))
  );
}

function isSameValue(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0;
  return Object.is(one, other);
}
