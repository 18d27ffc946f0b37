import { isWaybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { kafkaSource } from "./kafka-source.ts";
import type { KafkaSourceOptions } from "./source-options.ts";

const good: KafkaSourceOptions = { brokers: ["127.0.0.1:9092"], groupId: "g", topics: ["orders"] };
const problemsOf = (options: object): readonly string[] => {
  try {
    kafkaSource({ ...good, ...options });
    return [];
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return error.facts.problems.map(({ option }) => option);
  }
};

test("what is left out has a default", () => {
  expect(problemsOf({})).toEqual([]);
  expect(problemsOf({ inFlightMax: undefined, windowMax: undefined })).toEqual([]);
});

describe("what is wrong is named, all of it at once", () => {
  test.each([
    ["groupId", { groupId: "" }],
    ["groupId", { groupId: "with space" }],
    ["topics", { topics: [] }],
    ["topics", { topics: ["a/b"] }],
    ["topics", { topics: [".."] }],
    ["inFlightMax", { inFlightMax: 0 }],
    ["inFlightMax", { inFlightMax: 1.5 }],
    ["windowMax", { windowMax: 0 }],
    ["bytesMax", { bytesMax: 1_000 }],
    ["heartbeatMs", { heartbeatMs: 11_000 }],
    ["silenceMs", { silenceMs: Number.NaN }],
    ["handlerDeadlineMs", { handlerDeadlineMs: "60" }],
    ["client", { client: "other" }],
    ["brokers", { brokers: [] }],
  ])("%s", (option, given) => {
    expect(problemsOf(given)).toEqual([option]);
  });

  test("together", () => {
    expect(problemsOf({ groupId: "", topics: [], inFlightMax: 0, brokers: [] })).toEqual(["inFlightMax", "groupId", "topics", "brokers"]);
  });
});
