import { expect, test } from "vitest";
import { decodeShare, decodeTopics, encodeShare, encodeTopics, shareOut } from "./group-protocol.ts";

test("what members say of themselves, and what the leader gives them, comes back from its bytes", () => {
  expect(decodeTopics(encodeTopics(["orders", "grüße"]))).toEqual(["orders", "grüße"]);
  const share = [
    { topic: "orders", partition: 0 },
    { topic: "orders", partition: 3 },
    { topic: "stock", partition: 1 },
  ];
  expect(decodeShare(encodeShare(share))).toEqual(share);
  expect(decodeShare(Buffer.alloc(0))).toEqual([]);
  expect(() => decodeShare(encodeShare(share).subarray(0, 12))).toThrow(RangeError);
});

test("every partition goes to exactly one member that wants its topic, evenly", () => {
  const members = [
    { memberId: "b", topics: ["orders", "stock"] },
    { memberId: "a", topics: ["orders"] },
  ];
  const shares = shareOut(
    members,
    new Map([
      ["orders", 4],
      ["stock", 2],
      ["unwanted", 3],
    ]),
  );
  expect([...shares].map(([memberId, share]) => [memberId, share.map(({ topic, partition }) => `${topic}/${partition}`)])).toEqual([
    ["a", ["orders/0", "orders/2"]],
    ["b", ["orders/1", "orders/3", "stock/0", "stock/1"]],
  ]);
});
