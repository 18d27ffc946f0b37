import { isWaybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { type Evidence, outcomeOf } from "./outcome.ts";

const answered = (status: number, retryAfterMs: number | null = null): Evidence => ({ kind: "answered", status, retryAfterMs });
const failed = (kind: "notSent" | "unknown", reason: string): Evidence => ({
  kind,
  reason,
  brokerCode: "ECONNRESET",
  cause: new Error("cause"),
});

function judge(evidence: Evidence): string {
  const outcome = outcomeOf(evidence, "https://receiver.example");
  return "scope" in outcome ? `${outcome.kind} (${outcome.scope})` : outcome.kind;
}

const ofStatus: readonly (readonly [expected: string, statuses: readonly number[]])[] = [
  ["confirmed", [200, 201, 202, 204, 206, 299]],
  ["rejected", [400, 413, 415, 422, 431]],
  ["retry (message)", [408, 409, 423, 425]],
  ["retry (topic)", [300, 301, 302, 303, 304, 307, 308, 399, 401, 403, 404, 405, 407, 410, 421, 426, 429, 451, 501, 505]],
  ["unknown (message)", [500, 502, 503, 504, 506, 507, 508, 511, 520, 599, 600, 999, 199, 0]],
  // Named by nobody: about this request, so it stops nothing else.
  ["retry (message)", [402, 406, 411, 412, 414, 416, 417, 418, 424, 428, 499]],
];

describe("outcome", () => {
  test.each(ofStatus.flatMap(([expected, statuses]) => statuses.map((status) => [status, expected] as const)))(
    "%i is %s",
    (status, expected) => {
      expect(judge(answered(status))).toBe(expected);
    },
  );

  test("every status has exactly one outcome", () => {
    const kinds = Array.from({ length: 500 }, (_, index) => judge(answered(index + 100)));
    expect(new Set(kinds)).toEqual(new Set(["confirmed", "rejected", "retry (message)", "retry (topic)", "unknown (message)"]));
  });

  test.each(["notConnected", "addressBlocked", "deadline"])(
    "what failed before the first byte was written (%s) is surely not stored, and stops its topic",
    (reason) => {
      expect(judge(failed("notSent", reason))).toBe("retry (topic)");
    },
  );

  test.each(["closed", "leaseLost"])("what was not sent because we may not send any more (%s) says so of the whole transport", (reason) => {
    expect(judge(failed("notSent", reason))).toBe("retry (transport)");
  });

  test.each(["connectionLost", "deadline", "responseTooLarge", "responseMalformed", "closed"])(
    "what failed after writing without a status (%s) may be stored",
    (reason) => {
      expect(judge(failed("unknown", reason))).toBe("unknown (message)");
    },
  );

  test("a request that cannot be made of a message rejects it", () => {
    expect(judge(failed("notSent", "requestInvalid"))).toBe("rejected");
  });

  test.each([429, 503, 409, 301])("Retry-After is passed on with %i", (status) => {
    expect(outcomeOf(answered(status, 2_000), "x")).toMatchObject({ afterMs: 2_000 });
    expect(outcomeOf(answered(status), "x")).not.toHaveProperty("afterMs");
  });

  test("the error tells reason, status and cause, and names the destination by its origin", () => {
    const ofAnswer = outcomeOf(answered(404), "https://receiver.example");
    if (ofAnswer.kind !== "retry" || !isWaybillError(ofAnswer.error, "WAYBILL_TRANSPORT")) throw new Error(ofAnswer.kind);
    expect(ofAnswer.error.facts).toEqual({ system: "http", reason: "status", brokerCode: "404" });
    expect(ofAnswer.error.message).toContain("https://receiver.example");
    const ofFailure = outcomeOf(failed("unknown", "connectionLost"), "https://receiver.example");
    if (ofFailure.kind !== "unknown") throw new Error(ofFailure.kind);
    expect(ofFailure.error.facts).toEqual({ system: "http", reason: "connectionLost", brokerCode: "ECONNRESET" });
    expect(ofFailure.error.cause).toEqual(new Error("cause"));
  });
});
