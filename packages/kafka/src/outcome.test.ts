import { describe, expect, test } from "vitest";
import { type Proof, proofOf, topicRefused } from "./outcome.ts";
import type { KafkaSendResult } from "./producer-client.ts";

function told(proof: Proof): string {
  if (proof.kind === "halves") return "halves";
  const { outcome } = proof;
  if (outcome.kind === "confirmed") return "confirmed";
  return outcome.kind === "rejected" ? "rejected" : `${outcome.kind} ${outcome.scope}`;
}

const notSent = (reason: Extract<KafkaSendResult, { kind: "notSent" }>["reason"], code: number | null = null): KafkaSendResult => ({
  kind: "notSent",
  reason,
  code,
});

describe("a send of one record", () => {
  const table: readonly [KafkaSendResult, string][] = [
    [{ kind: "stored", baseOffset: 0n }, "confirmed"],
    [notSent("leaseLost"), "retry transport"],
    [notSent("closed"), "retry transport"],
    [notSent("unreachable"), "retry transport"],
    [notSent("notAuthenticated"), "retry transport"],
    [notSent("leaderUnreachable"), "retry topic"],
    [notSent("deadline"), "retry topic"],
    [notSent("partitionUnknown"), "retry topic"],
    [notSent("clientFailed"), "retry topic"],
    [notSent("refused", 3), "retry topic"],
    [notSent("refused", 5), "retry topic"],
    [notSent("refused", 29), "retry topic"],
    [notSent("refused", 17), "rejected"],
    [{ kind: "unanswered", reason: "deadline", code: null }, "unknown topic"],
    [{ kind: "unanswered", reason: "connectionLost", code: null }, "unknown topic"],
    [{ kind: "unanswered", reason: "ambiguous", code: 3 }, "unknown topic"],
    ...[10, 18, 87].map((code): [KafkaSendResult, string] => [{ kind: "answered", code }, "rejected"]),
    [{ kind: "answered", code: 2 }, "retry message"],
    ...[19, 32, 43, 44, 74, 75, 76].map((code): [KafkaSendResult, string] => [{ kind: "answered", code }, "retry topic"]),
    ...[-1, 3, 5, 6, 7, 20, 29, 56, 999].map((code): [KafkaSendResult, string] => [{ kind: "answered", code }, "unknown topic"]),
  ];
  for (const [result, outcome] of table) {
    const evidence = [result.kind, "reason" in result ? result.reason : "", "code" in result ? String(result.code ?? "") : ""];
    test(`${evidence.join(" ").trim()} proves ${outcome}`, () => expect(told(proofOf(result, 1))).toBe(outcome));
  }
});

test.each([2, 10, 18, 87])("a batch that is refused with %i is tried in halves", (code) => {
  expect(told(proofOf({ kind: "answered", code }, 2))).toBe("halves");
});

test.each([6, 19, 32])("a batch that is refused with %i is refused whole", (code) => {
  expect(told(proofOf({ kind: "answered", code }, 2))).not.toBe("halves");
});

test("what is wrong is named by the protocol's own word and number", () => {
  const outcome = topicRefused(3, 20);
  expect(outcome).toMatchObject({ afterMs: 20, error: { facts: { system: "kafka", reason: "unknownTopicOrPartition", brokerCode: "3" } } });
});
