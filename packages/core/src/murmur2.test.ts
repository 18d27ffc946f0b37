import { describe, expect, test } from "vitest";
import { murmur2, partitionOfKey } from "./murmur2.ts";

describe("murmur2", () => {
  // The hashes that Kafka's Java client gives.
  test.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["order-42", 501153024],
    ["", 275646681],
  ])("hashes %j as Kafka's Java client does", (text, hash) => {
    expect(murmur2(Buffer.from(text, "utf8"))).toBe(hash);
  });

  test("hashes a view into something larger by its own bytes", () => {
    expect(murmur2(Buffer.from("xxfoobarxx").subarray(2, 8))).toBe(-790332482);
  });
});

describe("the partition of a key", () => {
  test("is the hash without its sign, modulo the number of partitions", () => {
    expect(partitionOfKey("order-42", 12)).toBe(501153024 % 12);
    expect(partitionOfKey("21", 12)).toBe((-973932308 & 0x7fffffff) % 12);
    expect(partitionOfKey("Käufer 世界", 1)).toBe(0);
  });
});
