import { describe, expect, it } from "vitest";
import { AuditInputError } from "./audit-input-error.ts";
import type { History } from "./history.ts";
import { formatHistory, parseHistory } from "./parse-history.ts";

const full: Required<History> = {
  intents: [{ messageId: "m", topic: "orders", key: null, outcome: "unknown", payloadDigest: "d", order: 1 }],
  businessRows: ["m"],
  ledger: [{ sequence: 9_007_199_254_740_993n, messageId: "m", type: "t", topic: "orders", key: "a", payloadDigest: "d" }],
  subscriptions: [
    {
      subscription: "default",
      lastId: 1n,
      openRanges: [{ lo: 1n, hi: 2n }],
      owner: "o",
      isLeaseValid: true,
      spilled: 1,
      topics: ["orders"],
      keyPolicy: "skip",
    },
  ],
  received: [{ subscription: "default", messageId: "m", payloadDigest: "d", topic: "orders", key: null, sequence: null }],
  deadLetters: [{ origin: "inbox", reader: "inventory", messageId: "m", state: "held", payloadDigest: "d" }],
  consumers: [{ consumer: "inventory", subscription: "default", topics: ["orders"], keyPolicy: "stop" }],
  effects: [{ consumer: "inventory", messageId: "m", count: 1, payloadDigest: "d" }],
  handled: [{ consumer: "inventory", messageId: "m" }],
  unorderedTopics: ["loose"],
  faults: [{ kind: "kill", isObserved: true }],
  takeovers: 1,
};

type Json = Record<string, unknown>;
const json = (): Json => JSON.parse(formatHistory(full)) as Json;

describe("a history as JSON", () => {
  it("comes back as it was, ids beyond 2^53 included", () => {
    expect(parseHistory(formatHistory(full))).toEqual(full);
  });

  it("takes an id also as an exact number, and no other", () => {
    const withId = (sequence: unknown): string => JSON.stringify({ ...json(), ledger: [{ ...(json()["ledger"] as Json[])[0], sequence }] });
    expect(parseHistory(withId(7)).ledger[0]?.sequence).toBe(7n);
    for (const wrong of [2 ** 53, 1.5, "7.0", "", null, true, {}]) expect(() => parseHistory(withId(wrong))).toThrow("ledger[0].sequence");
  });

  it("is refused at the first place that is not as it should be", () => {
    expect(() => parseHistory("{")).toThrow(AuditInputError);
    expect(() => parseHistory("[]")).toThrow("history");
    for (const [list, value] of Object.entries(json())) {
      if (!Array.isArray(value)) continue;
      const first: unknown = value[0];
      for (const field of typeof first === "object" && first !== null ? Object.keys(first) : []) {
        const spoilt = { ...json(), [list]: [{ ...(first as Json), [field]: { canary: 1 } }] };
        const place = `${list}[0].${field}`;
        expect(() => parseHistory(JSON.stringify(spoilt)), place).toThrow(AuditInputError);
        expect(() => parseHistory(JSON.stringify(spoilt)), place).toThrow(place);
        expect(() => parseHistory(JSON.stringify(spoilt)), place).not.toThrow("canary");
      }
    }
    for (const list of ["intents", "ledger", "subscriptions", "received", "deadLetters", "consumers", "effects"]) {
      const { [list]: _, ...rest } = json();
      expect(() => parseHistory(JSON.stringify(rest)), list).toThrow(list);
    }
  });

  it("is refused with a list that a history does not have", () => {
    expect(() => parseHistory(JSON.stringify({ ...json(), buisnessRows: [] }))).toThrow("buisnessRows");
  });
});
