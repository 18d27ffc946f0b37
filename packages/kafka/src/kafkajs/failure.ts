/**
 * What an error of kafkajs says. Its retrier wraps everything and then says `retriable: false` of all of it; the facts are in the
 * innermost cause: `code` (a number for an answer of a broker, a word for a socket), then the name.
 */
export type ClientFailure =
  /** A broker answered with this code. To which request is for the caller to know. */
  | { readonly kind: "answered"; readonly code: number; readonly cause: unknown }
  /** No cause is kept: what a token provider throws may hold what it must not. */
  | { readonly kind: "notAuthenticated" }
  | { readonly kind: "unreachable"; readonly cause?: unknown }
  | { readonly kind: "timedOut"; readonly cause: unknown }
  /** An error of the library's own making. */
  | { readonly kind: "clientFailed"; readonly cause: unknown };

/** UNSUPPORTED_SASL_MECHANISM, ILLEGAL_SASL_STATE, SASL_AUTHENTICATION_FAILED. */
const authenticationCodes: ReadonlySet<number> = new Set([33, 34, 58]);

const connectionErrors: ReadonlySet<string> = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSBrokerNotFound",
  "KafkaJSNoBrokerAvailableError",
]);

const timeoutErrors: ReadonlySet<string> = new Set(["KafkaJSRequestTimeoutError", "KafkaJSLockTimeout", "KafkaJSTimeout"]);

/** How deep wrapping may go; a chain that bites its own tail must end. */
const depthMax = 8;

export function failureOf(error: unknown): ClientFailure {
  const cause = innermost(error);
  const { name, code } = cause as { readonly name?: unknown; readonly code?: unknown };
  if (name === "KafkaJSSASLAuthenticationError") return { kind: "notAuthenticated" };
  if (typeof code === "number") return authenticationCodes.has(code) ? { kind: "notAuthenticated" } : { kind: "answered", code, cause };
  if (typeof name !== "string") return { kind: "clientFailed", cause };
  if (connectionErrors.has(name)) return { kind: "unreachable", cause };
  if (timeoutErrors.has(name)) return { kind: "timedOut", cause };
  return { kind: "clientFailed", cause };
}

export function innermost(error: unknown): Error {
  let found = error;
  for (let depth = 0; depth < depthMax; depth += 1) {
    if (!(found instanceof Error) || !(found.cause instanceof Error)) break;
    found = found.cause;
  }
  return found instanceof Error ? found : new Error("no error was thrown, but something else");
}
