import { expect, test } from "vitest";
import { topicFindings } from "./topic-lint.ts";

const good = {
  "min.insync.replicas": "2",
  "unclean.leader.election.enable": "false",
  "max.message.bytes": "1048588",
  "cleanup.policy": "delete",
  "retention.ms": "604800000",
  "retention.bytes": "-1",
  "message.timestamp.before.max.ms": "9223372036854775807",
};
const partition = { replicas: 3, inSync: 3, hasLeader: true };
const found = (settings: Partial<typeof good>, partitions = [partition, partition], hasKeyless = false) =>
  topicFindings({ topic: "orders", partitions, settings: { ...good, ...settings } }, hasKeyless).map(
    ({ level, rule }) => `${level} ${rule}`,
  );

test("a topic that keeps what it confirms is fine", () => {
  expect(found({})).toEqual([]);
  expect(found({ "retention.ms": "-1" })).toEqual([]);
});

test.each<[Partial<typeof good>, string]>([
  [{ "min.insync.replicas": "1" }, "refused min.insync.replicas"],
  [{ "min.insync.replicas": "4" }, "refused min.insync.replicas"],
  [{ "min.insync.replicas": "3" }, "warned min.insync.replicas"],
  [{ "unclean.leader.election.enable": "true" }, "refused unclean.leader.election.enable"],
  [{ "max.message.bytes": "1000000" }, "refused max.message.bytes"],
  [{ "message.timestamp.before.max.ms": "3600000" }, "warned message.timestamp.before.max.ms"],
  [{ "cleanup.policy": "compact" }, "warned cleanup.policy"],
  [{ "retention.ms": "3600000" }, "warned retention.ms"],
  [{ "retention.bytes": "1000" }, "warned retention.bytes"],
])("%j is %s", (settings, expected) => {
  expect(found(settings)).toEqual([expected]);
});

test("a compacted topic refuses what has no key", () => {
  expect(found({ "cleanup.policy": "compact" }, [partition], true)).toEqual(["refused cleanup.policy"]);
});

test("retention says nothing where only compaction removes", () => {
  expect(found({ "cleanup.policy": "compact", "retention.ms": "1" })).toEqual(["warned cleanup.policy"]);
});

test.each([
  [[{ ...partition, replicas: 1, inSync: 1 }], ["refused replicas", "refused min.insync.replicas"]],
  [[{ ...partition, replicas: 2, inSync: 2 }], ["warned replicas", "warned min.insync.replicas"]],
  [[partition, { ...partition, hasLeader: false, inSync: 0 }], ["refused leader"]],
  [[partition, { ...partition, inSync: 2 }], ["warned inSync"]],
  [[partition, { ...partition, inSync: 1 }], ["refused inSync"]],
])("partitions %j", (partitions, expected) => {
  expect(found({}, partitions)).toEqual(expected);
});

test("what a broker does not show is not judged", () => {
  expect(topicFindings({ topic: "orders", partitions: [partition], settings: {} }, false)).toEqual([]);
});
