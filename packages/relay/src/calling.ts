/**
 * One call of the transport: the lease is asked in the same synchronous step, the deadline is ours, and what comes back is one
 * outcome per message or nothing at all.
 */
import { type OutgoingMessage, type PublishOutcome, waybillError, withDeadline } from "@waybill/core";
import type { Session } from "./session.ts";

/** A transport keeps its own deadline; this is for one that does not. */
const graceMs = 500;

export interface Calling {
  /** Resolves to null when the session is over: the lease ran out, or the transport threw or broke its contract. Never rejects. */
  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[] | null>;
  /** Resolves when no call is under way, or after `deadlineMs`. */
  settled(deadlineMs: number): Promise<void>;
}

export function createCalling(session: Session): Calling {
  const { settings, lease, clock } = session;
  const { transport, publishDeadlineMs } = settings;
  const underWay = new Set<Promise<unknown>>();
  const mayWrite = (): boolean => !session.ended.aborted && lease.isTrusted();

  const call = async (messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[] | null> => {
    try {
      const answer = await withDeadline(
        clock,
        publishDeadlineMs + graceMs,
        transport.publish(messages, { deadlineMs: publishDeadlineMs, mayWrite }),
      );
      if (session.ended.aborted) return null;
      if (answer.kind === "late") {
        const error = waybillError("WAYBILL_TRANSPORT", "The transport did not answer by its deadline; the messages are published again.", {
          system: "transport",
          reason: "deadline",
          brokerCode: null,
        });
        return messages.map(() => ({ kind: "unknown", error, scope: "transport" }) as const);
      }
      if (answer.value.length === messages.length) return answer.value;
      session.report({ name: "relay.transportBroken", code: "outcomesMissing" });
      session.fail(new Error("a transport must answer one outcome per message"));
    } catch (error) {
      session.report({ name: "relay.transportBroken", code: "threw" });
      session.fail(error);
    }
    return null;
  };

  return {
    publish(messages) {
      if (!mayWrite()) return Promise.resolve(null);
      const answered = call(messages);
      underWay.add(answered);
      const settled = (): boolean => underWay.delete(answered);
      answered.then(settled, settled);
      return answered;
    },
    async settled(deadlineMs) {
      if (underWay.size > 0) await withDeadline(clock, deadlineMs, Promise.all(underWay));
    },
  };
}
