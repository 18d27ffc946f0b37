import { behindItsKey, type FailureScope, type PublishOutcome, waybillError } from "@waybill/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AttemptFacts,
  afterAttempt,
  type DeliveryPolicy,
  destinationHealth,
  isUnacknowledged,
  retryDelayMs,
} from "./delivery-schedule.ts";

const policy: DeliveryPolicy = {
  ack: "implicit",
  ordering: "key",
  keyOrder: "publish",
  publishTimeoutMs: 10_000,
  breaker: { failuresMax: 5, firstMs: 1_000, maxMs: 30_000 },
  batch: 100,
  maxAttempts: null,
  giveUpAfterMs: 259_200_000,
  backoff: { firstMs: 1_000, maxMs: 300_000 },
  ackDeadlineMs: 30_000,
  maxRedeliveries: 20,
};
const facts: AttemptFacts = { attempt: 1, redeliveries: 0, givesUpInMs: 1_000_000, ackMode: "implicit" };
const middle = { fraction: () => 0.5 };
const error = (reason = "no") => waybillError("WAYBILL_TRANSPORT", "no", { system: "memory", reason, brokerCode: null });
const retry = (scope: FailureScope = "message", reason?: string): PublishOutcome => ({ kind: "retry", error: error(reason), scope });
const unknown = (scope: FailureScope = "message"): PublishOutcome => ({ kind: "unknown", error: error(), scope });
const confirmed: PublishOutcome = { kind: "confirmed" };

describe("after an attempt", () => {
  test("a confirmed delivery is acknowledged by that, or waits for its consumer", () => {
    expect(afterAttempt(confirmed, facts, policy, middle)).toEqual({ kind: "acked" });
    expect(afterAttempt(confirmed, { ...facts, ackMode: "explicit" }, policy, middle)).toEqual({ kind: "awaitAck", deadlineMs: 30_000 });
  });

  test("a rejected one is dead at once", () => {
    expect(afterAttempt({ kind: "rejected", error: error() }, facts, policy, middle)).toEqual({ kind: "dead", reason: "rejected" });
  });

  test.each([retry(), unknown()])("a failure of the message's own comes again, later each time ($kind)", (outcome) => {
    const delays = [1, 2, 3, 9, 10].map((attempt) => afterAttempt(outcome, { ...facts, attempt }, policy, middle));
    expect(delays).toEqual([1_000, 2_000, 4_000, 256_000, 300_000].map((afterMs) => ({ kind: "again", afterMs, isCharged: true })));
  });

  test.each(["topic", "transport"] as const)("a failure of the %s is the breaker's, and charged to nobody", (scope) => {
    for (const outcome of [retry(scope), unknown(scope)]) {
      const exhausted = { ...facts, attempt: 99, givesUpInMs: -1 };
      expect(afterAttempt(outcome, exhausted, { ...policy, maxAttempts: 3 }, middle)).toEqual({
        kind: "again",
        afterMs: null,
        isCharged: false,
      });
    }
  });

  test("who waited behind its key in a batch pays nothing", () => {
    expect(afterAttempt(retry("message", behindItsKey), facts, { ...policy, maxAttempts: 1 }, middle)).toMatchObject({ isCharged: false });
  });

  test("past its attempts or its time it is dead", () => {
    const limited = { ...policy, maxAttempts: 3 };
    expect(afterAttempt(retry(), { ...facts, attempt: 2 }, limited, middle)).toMatchObject({ kind: "again" });
    expect(afterAttempt(retry(), { ...facts, attempt: 3 }, limited, middle)).toEqual({ kind: "dead", reason: "attempts_exhausted" });
    expect(afterAttempt(unknown(), { ...facts, attempt: 4, redeliveries: 2 }, limited, middle)).toMatchObject({ kind: "again" });
    expect(afterAttempt(unknown(), { ...facts, givesUpInMs: 0 }, policy, middle)).toEqual({ kind: "dead", reason: "time_exhausted" });
  });

  test("a destination's own wish is honoured when it is later", () => {
    const asks = { ...retry(), afterMs: 60_000 } as PublishOutcome;
    expect(afterAttempt(asks, facts, policy, middle)).toMatchObject({ afterMs: 60_000 });
  });

  test("every wait is longer than the one before, whatever chance says, until they are longest", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, a, b) => {
          const before = retryDelayMs(policy.backoff, failures, { fraction: () => a });
          expect(retryDelayMs(policy.backoff, failures + 1, { fraction: () => b })).toBeGreaterThan(before);
        },
      ),
    );
    expect(retryDelayMs(policy.backoff, 1_000, { fraction: () => 0.999 })).toBeLessThanOrEqual(360_000);
  });
});

test("redeliveries have an end", () => {
  expect(isUnacknowledged(20, policy)).toBe(false);
  expect(isUnacknowledged(21, policy)).toBe(true);
});

test("a call tells of its destination: what was confirmed outweighs what failed, and a message's own failure says nothing", () => {
  expect(destinationHealth([retry("transport"), confirmed])).toBe("lives");
  expect(destinationHealth([retry("transport"), retry()])).toBe("fails");
  expect(destinationHealth([unknown("topic")])).toBe("fails");
  expect(destinationHealth([retry(), { kind: "rejected", error: error() }])).toBe("untold");
  expect(destinationHealth([retry("transport", "leaseLost")])).toBe("untold");
});
