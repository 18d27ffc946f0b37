import { isWaybillError } from "@waybill/core";
import type { Database } from "@waybill/sql";
import { expect, test } from "vitest";
import { type InboxOptions, inboxSettings } from "./inbox-options.ts";

const dayMs = 86_400_000;
const options = (over: Partial<InboxOptions> = {}): InboxOptions => ({ consumer: "inventory", database: {} as Database, ...over });
const problemsOf = (given: InboxOptions): readonly string[] => {
  try {
    inboxSettings(given);
    return [];
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return error.facts.problems.map(({ option }) => option);
  }
};

test("the defaults are fourteen days of memory, eight handlers, three poison attempts", () => {
  expect(inboxSettings(options())).toMatchObject({
    retentionMs: 14 * dayMs,
    concurrency: 8,
    poisonAttempts: 3,
    keyPolicy: "hold",
    handlerDeadlineMs: 60_000,
  });
});

test("a memory shorter than the longest redelivery is refused, unless that is said to be shorter, too", () => {
  expect(problemsOf(options({ retentionMs: 7 * dayMs - 1 }))).toEqual(["retentionMs"]);
  expect(problemsOf(options({ redeliveryHorizonMs: 15 * dayMs }))).toEqual(["retentionMs"]);
  expect(problemsOf(options({ retentionMs: 3_600_000, redeliveryHorizonMs: 3_600_000 }))).toEqual([]);
  expect(problemsOf(options({ retentionMs: 7 * dayMs }))).toEqual([]);
});

test("every problem is told at once", () => {
  const wrong = options({
    consumer: "",
    concurrency: 0,
    keyPolicy: "stop" as "skip",
    attemptsMax: 1.5,
    backoff: { firstMs: 10, maxMs: 1 },
  });
  expect(problemsOf(wrong)).toEqual(["consumer", "concurrency", "keyPolicy", "attemptsMax", "backoff.maxMs"]);
});
