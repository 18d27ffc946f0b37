/**
 * Why a broker could not be asked. What the library throws on the way to a broker that lets us in may hold what a token provider threw,
 * so of errors that have to do with credentials nothing is kept.
 */

export type BrokerFailure =
  | { readonly kind: "notAuthenticated" }
  /** No connection, or it ended. */
  | { readonly kind: "unreachable"; readonly cause?: unknown }
  /** An error of the library's own making, such as an answer it cannot read. */
  | { readonly kind: "clientFailed"; readonly cause: unknown };

/** A failure as it is thrown among us; it never leaves this folder. */
export class BrokerError extends Error {
  readonly failure: BrokerFailure;
  constructor(failure: BrokerFailure) {
    super(`the broker could not be asked: ${failure.kind}`, "cause" in failure ? { cause: failure.cause } : {});
    this.failure = failure;
  }
}

/** How deep wrapping may go; a chain that bites its own tail must end. */
const depthMax = 8;

export function failureOf(error: unknown): BrokerFailure {
  if (error instanceof BrokerError) return error.failure;
  const { code } = error as { readonly code?: unknown };
  // The library gives its time-outs the code of its network errors.
  return code === "PLT_KFK_NETWORK" || code === "PLT_KFK_UNEXPECTED_CORRELATION_ID"
    ? { kind: "unreachable", cause: innermost(error) }
    : { kind: "clientFailed", cause: innermost(error) };
}

/** What ended an attempt to connect. `hasShaken`: the broker was there, and was being told who we are. */
export function connectFailureOf(error: unknown, hasShaken: boolean): BrokerFailure {
  const cause = innermost(error);
  if (codesOf(error).includes("PLT_KFK_AUTHENTICATION")) return { kind: "notAuthenticated" };
  if (!hasShaken) return { kind: "unreachable", cause };
  const isOfTheConnection = "syscall" in cause || codesOf(cause).includes("PLT_KFK_NETWORK");
  return isOfTheConnection ? { kind: "unreachable" } : { kind: "notAuthenticated" };
}

function codesOf(error: unknown): readonly unknown[] {
  const codes: unknown[] = [];
  let found = error;
  for (let depth = 0; depth < depthMax && found instanceof Error; depth += 1) {
    codes.push((found as { readonly code?: unknown }).code);
    found = found.cause;
  }
  return codes;
}

export function innermost(error: unknown): Error {
  let found = error;
  for (let depth = 0; depth < depthMax; depth += 1) {
    if (!(found instanceof Error) || !(found.cause instanceof Error)) break;
    found = found.cause;
  }
  return found instanceof Error ? found : new Error("no error was thrown, but something else");
}
