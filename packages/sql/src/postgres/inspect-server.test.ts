import { expect, test } from "vitest";
import { judgePostgres } from "./inspect-server.ts";

const good = {
  server_version: "18.4",
  server_version_num: "180004",
  in_recovery: "false",
  transaction_read_only: "off",
  fsync: "on",
  synchronous_commit: "on",
};
const judged = (facts: Partial<typeof good>) => judgePostgres({ ...good, ...facts }).map(({ level, rule }) => [level, rule]);

test("a primary of a supported version is taken", () => {
  expect(judged({})).toEqual([]);
  expect(judged({ server_version: "14.0", server_version_num: "140000" })).toEqual([]);
});

test.each([
  [{ server_version: "13.9", server_version_num: "130009" }, "refused", "version"],
  [{ in_recovery: "true" }, "refused", "primary"],
  [{ transaction_read_only: "on" }, "refused", "primary"],
  [{ fsync: "off" }, "warned", "fsync"],
  [{ synchronous_commit: "off" }, "warned", "synchronous_commit"],
] as const)("%j is %s", (facts, level, rule) => {
  expect(judged(facts)).toEqual([[level, rule]]);
});
