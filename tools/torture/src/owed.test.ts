import type { History, LedgerRow } from "@waybill/auditor";
import { describe, expect, it } from "vitest";
import { owedOf } from "./owed.ts";

const row = (sequence: bigint, type = "t"): LedgerRow => ({
  sequence,
  messageId: `m${sequence}`,
  type,
  topic: type === "" ? "" : "orders",
  key: null,
  payloadDigest: "d",
});
const history: History = {
  intents: [],
  ledger: [1n, 2n, 3n, 4n, 5n, 6n, 9n].map((id) => row(id, id === 5n ? "" : "t")),
  subscriptions: [
    {
      subscription: "default",
      lastId: 6n,
      openRanges: [
        { lo: 2n, hi: 3n },
        { lo: 5n, hi: 6n },
      ],
      owner: null,
      isLeaseValid: false,
    },
  ],
  received: [{ subscription: "default", messageId: "m3", payloadDigest: "d" }],
  deadLetters: [],
  consumers: [],
  effects: [],
};

describe("a message that never arrived", () => {
  it("is owed in a range that the cursor keeps and beyond it, and lost elsewhere", () => {
    expect(owedOf(history)).toBe(3); // 2, 6 and 9; 1 and 4 are lost, 3 arrived, 5 is a fence
  });

  it("that is open in the dead letters is accounted for there", () => {
    expect(owedOf({ ...history, deadLetters: [{ origin: "relay", reader: "default", messageId: "m2", state: "held" }] })).toBe(2);
  });
});
