/**
 * What an error does to a transaction: nothing but ROLLBACK may follow – also on MySQL, which undoes some statements by themselves (a wait for
 * a lock that ran out) and drops into autocommit after others (a deadlock), and lets a COMMIT keep the half that is left.
 *
 * One exception: a statement whose error undid itself and nothing else may be sent once more, the very same with the same values. If that
 * succeeds nothing has happened. A message whose automatic id was taken by a fence gets its next one so.
 */
export interface SentStatement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

export interface Poison {
  /** The first error, if it keeps this statement from being sent. */
  blocks(statement: SentStatement): Error | null;
  /** The statement succeeded. */
  passed(): void;
  /** The statement failed. `mayRepeat`: its error undid itself and nothing else. */
  failed(statement: SentStatement, error: Error, mayRepeat: boolean): void;
  /** The error that only ROLLBACK may follow; null while all is well. */
  error(): Error | null;
}

export function createPoison(): Poison {
  let first: Error | null = null;
  let repeatable: SentStatement | null = null;
  let isRepeating = false;
  return {
    blocks(statement) {
      isRepeating = repeatable !== null && isSame(repeatable, statement);
      repeatable = null;
      return isRepeating ? null : first;
    },
    passed() {
      first = null;
    },
    failed(statement, error, mayRepeat) {
      first = error;
      repeatable = mayRepeat && !isRepeating ? { sql: statement.sql, values: [...statement.values] } : null;
    },
    error: () => first,
  };
}

/** True if both say the same with the same values, to the byte. */
function isSame(one: SentStatement, other: SentStatement): boolean {
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
