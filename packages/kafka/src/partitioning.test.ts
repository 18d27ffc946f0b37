import { expect, test } from "vitest";
import { partitionOf } from "./partitioning.ts";

test("murmur2 puts keys where Java clients do", () => {
  // 2 147 483 647 partitions leave the hash as it is, but for its sign.
  const all = 0x7fffffff;
  expect(partitionOf("murmur2", "21", all)).toBe((-973_932_308 & all) % all);
  expect(partitionOf("murmur2", "foobar", all)).toBe((-790_332_482 & all) % all);
  expect(partitionOf("murmur2", "order-42", all)).toBe(501_153_024);
});

test("crc32 puts keys where librdkafka does", () => {
  expect(partitionOf("crc32", "123456789", 2 ** 32)).toBe(0xcbf43926);
  expect(partitionOf("crc32", "Käufer", 10)).toBe(partitionOf("crc32", "Käufer", 10));
});
