import { audit, type History } from "@waybill/auditor";
import { expect, test } from "vitest";
import type { Judgement } from "./judge.ts";
import { formatReport, resultOf } from "./report.ts";

const decisions = { committed: 2, rolledBack: 3, committedByCheck: 1, rolledBackByCheck: 2, carried: 1, undecided: 0, suspended: 0 };
const figures = { kills: 10, seed: 7, seconds: 12.345 };
const row = (messageId: string, sequence: bigint) => ({ messageId, sequence, topic: "payments", type: "t", key: "k", payloadDigest: "d" });
const record = (messageId: string) => ({ subscription: "order", messageId, payloadDigest: "d" });

function judgementOf(received: History["received"]): Judgement {
  const verdict = audit({
    intents: [],
    ledger: [row("a", 1n), row("b", 2n)],
    subscriptions: [{ subscription: "order", lastId: 2n, openRanges: [], owner: null, isLeaseValid: false }],
    received,
    deadLetters: [],
    consumers: [{ consumer: "order" }],
    effects: ["a", "b"].map((messageId) => ({ consumer: "order", messageId })),
  });
  return { verdict, decisions, problems: [] };
}

test("the result has the figures of the verdict and of the decisions", () => {
  expect(resultOf(judgementOf([record("a"), record("a")]), figures)).toEqual({
    decided: 5,
    committed: 2,
    rolledBack: 3,
    refused: 0,
    decidedByCheck: 3,
    carriedByCommit: 1,
    delivered: 1,
    repeated: 1,
    effects: 2,
    lost: 1,
    ghosts: 0,
    doubled: 0,
    suspended: 0,
    undecided: 0,
    outOfOrder: 0,
    kills: 10,
    seed: 7,
    seconds: 12.3,
  });
});

test("the table names what is broken, and only then", () => {
  const broken = judgementOf([record("a")]);
  expect(formatReport(broken, resultOf(broken, figures))).toMatch(/! NL b .*never received/);
  const clean = judgementOf([record("a"), record("b")]);
  expect(formatReport(clean, resultOf(clean, figures))).not.toContain("!");
  const odd = { ...clean, problems: ["order o1: 600 cents paid, 300 taken"] };
  expect(formatReport(odd, resultOf(odd, figures))).toMatch(/as expected +NO[\s\S]*! order o1/);
});
