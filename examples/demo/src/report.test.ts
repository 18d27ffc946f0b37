import { audit, combineVerdicts, type History } from "@waybill/auditor";
import { expect, test } from "vitest";
import type { Judgement } from "./judge.ts";
import { formatReport, resultOf } from "./report.ts";

const row = (messageId: string, sequence: bigint, topic: string) => ({
  messageId,
  sequence,
  topic,
  type: "t",
  key: "k",
  payloadDigest: "d",
});
const record = (messageId: string) => ({ subscription: "s", messageId, payloadDigest: "d" });

/** A history of one message that was received twice, and in the answers' one of a message that never arrived. */
function judgementOf(answersReceived: History["received"]): Judgement {
  const history: History = {
    intents: [],
    ledger: [row("a", 1n, "orders")],
    subscriptions: [{ subscription: "s", lastId: 1n, openRanges: [], owner: null, isLeaseValid: false }],
    received: [record("a"), record("a")],
    deadLetters: [],
    consumers: [{ consumer: "c" }],
    effects: [{ consumer: "c", messageId: "a" }],
  };
  const orders = audit(history);
  const answers = audit({ ...history, received: answersReceived });
  return { orders, answers, both: combineVerdicts([orders, answers]), stockProblems: [] };
}

test("orders are counted, and faults and repetitions of both directions", () => {
  expect(resultOf(judgementOf([]), 5, 12.345)).toEqual({
    committed: 1,
    rolledBack: 0,
    published: 1,
    repeated: 1,
    effects: 1,
    lost: 1,
    ghosts: 0,
    doubled: 0,
    outOfOrder: 0,
    kills: 5,
    seconds: 12.3,
  });
});

test("the table names what is broken, and only then", () => {
  const broken = judgementOf([]);
  expect(formatReport(broken, resultOf(broken, 5, 1))).toMatch(/! NL a .*never received/);
  const clean = judgementOf([record("a")]);
  const table = formatReport(clean, resultOf(clean, 5, 1));
  expect(table).not.toContain("!");
  expect(table).toMatch(/lost +0 +0\n/);
  expect(formatReport({ ...clean, stockProblems: ["article-1: 4 reserved, 2 expected"] }, resultOf(clean, 5, 1))).toMatch(
    /as expected +NO[\s\S]*! article-1/,
  );
});
