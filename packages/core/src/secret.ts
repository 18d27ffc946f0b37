/** A secret that does not show itself: printing, logging or encoding it gives `[redacted]`. */
export interface Secret {
  /** The secret itself. Call this where it is used, not where it is passed on. */
  reveal(): string;
  toString(): string;
  toJSON(): string;
}

const redacted = "[redacted]";

/** Wraps a secret. */
export function secret(value: string): Secret {
  return Object.freeze({
    reveal: () => value,
    toString: () => redacted,
    toJSON: () => redacted,
    [Symbol.for("nodejs.util.inspect.custom")]: () => redacted,
  });
}
