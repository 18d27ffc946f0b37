/** What events say about how messages fare: the one place that decides what counts as a success and what as a failure. */

import { boundedSet } from "./bounded-set.ts";

/** Any event, as it is looked at here. */
interface AnyEvent {
  readonly name: string;
  readonly messageId?: string;
}

/** `retried`: what failed comes again, as its policy says. */
export type AttemptOutcome = "succeeded" | "failed" | "retried";

/**
 * Answers what an event is the end of, or null. A message that was handled is a success; an attempt that failed is a failure, and so is a message
 * that became a dead letter without one: refused, unknown, too old – or whose confirmation was refused. Duplicates, stale messages and what was nobody's fault are neither.
 */
export function attemptOutcomes(): (event: AnyEvent) => AttemptOutcome | null {
  /** Those whose attempt has failed, until it is said what follows. Nothing may be: the database is away, and it goes to another process. */
  const failing = boundedSet(10_000);
  const hasFailed = (id: string): boolean => {
    const has = failing.has(id);
    failing.delete(id);
    return has;
  };
  return ({ name, messageId = "" }) => {
    switch (name) {
      case "inbox.committed":
        return "succeeded";
      case "inbox.handlerFailed":
        failing.add(messageId);
        return "failed";
      case "inbox.retrying":
        return hasFailed(messageId) ? "retried" : null;
      case "inbox.deadLettered":
      case "inbox.confirmationGivenUp":
        return hasFailed(messageId) ? null : "failed";
      default:
        return null;
    }
  };
}
