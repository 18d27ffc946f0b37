import { isWaybillError, type Transport } from "@waybill/core";
import type { Database } from "@waybill/sql";
import { describe, expect, it } from "vitest";
import { type RelayOptions, relaySettings } from "./options.ts";

// Neither is touched by checking options.
const database = { dialect: "postgres" } as Database;
const transport: Transport = { publish: () => Promise.resolve([]), close: () => Promise.resolve() };
const settings = (over: Partial<RelayOptions> = {}): ReturnType<typeof relaySettings> => relaySettings({ database, transport, ...over });

function problemsOf(over: Partial<RelayOptions>): readonly string[] {
  try {
    settings(over);
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error.facts.problems.map(({ option }) => option);
    throw error;
  }
  return [];
}

describe("a relay's options", () => {
  it("have the defaults that their documentation says", () => {
    const { database: _, transport: __, clock: ___, random: ____, onEvent, configHash, ...defaults } = settings();
    expect(onEvent).toBeUndefined();
    expect(configHash).toMatch(/^[0-9a-f]{16}$/);
    expect(defaults).toEqual({
      stream: "default",
      subscription: "default",
      from: "beginning",
      filter: {},
      keyPolicy: "hold",
      keyPolicies: {},
      leaseMs: 10_000,
      publishDeadlineMs: 10_000,
      batchMax: 500,
      batchBytesMax: 4_194_304,
      callsPerTopicMax: 4,
      callsMax: 16,
      loadedMax: 10_000,
      loadedBytesMax: 33_554_432,
      pollMinMs: 2,
      pollMaxMs: 100,
      hint: false,
      attemptsMax: 20,
      messageBackoff: { firstMs: 100, maxMs: 60_000 },
      topicBackoff: { firstMs: 100, maxMs: 5_000 },
      outageBackoff: { firstMs: 50, maxMs: 3_200 },
      breakerFailuresMax: 5,
      spillAfterMs: 60_000,
      saveMs: 200,
      statementDeadlineMs: 10_000,
      drainMs: 500,
      decidedRetentionMs: 2_592_000_000,
      holeFenceAfterMs: 30_000,
      retentionMs: 86_400_000,
      idRetentionMs: 604_800_000,
      partitionIds: null,
    });
  });

  it("are refused with all their problems at once", () => {
    const wrong = {
      leaseMs: 499,
      publishDeadlineMs: 1.5,
      batchMax: 0,
      attemptsMax: Number.NaN,
      pollMinMs: 50,
      pollMaxMs: 10,
      keyPolicy: "wait" as "hold",
      keyPolicies: { orders: "skip" as const, payments: "none" as "hold" },
      spillAfterMs: 9,
      breakerFailuresMax: 0,
      from: "then" as "now",
      messageBackoff: { firstMs: 0, maxMs: 5 },
      topicBackoff: { firstMs: 10, maxMs: 5 },
    };
    expect([...problemsOf(wrong)].sort()).toEqual(
      [
        "attemptsMax",
        "batchMax",
        "breakerFailuresMax",
        "from",
        "keyPolicies",
        "keyPolicy",
        "leaseMs",
        "messageBackoff",
        "pollMinMs",
        "publishDeadlineMs",
        "spillAfterMs",
        "topicBackoff",
      ].sort(),
    );
  });

  it("are taken at both ends of their ranges", () => {
    expect(problemsOf({ leaseMs: 500, drainMs: 0, pollMinMs: 1, pollMaxMs: 1, saveMs: 10 })).toEqual([]);
    expect(problemsOf({ leaseMs: 3_600_000, loadedMax: 1_000_000, drainMs: 60_000 })).toEqual([]);
    expect(problemsOf({ leaseMs: 3_600_001, drainMs: -1 })).toEqual(["leaseMs", "drainMs"]);
  });

  it("name a stream or a subscription that is no name", () => {
    for (const over of [{ stream: "" }, { subscription: "a b" }, { stream: "x;drop" }])
      expect(() => settings(over)).toThrow(expect.objectContaining({ code: "WAYBILL_IDENTIFIER_INVALID" }));
  });
});

describe("the hash of a relay's configuration", () => {
  it("differs with policy, attempts and the transport's name, and with nothing that only tunes", () => {
    const ours = settings().configHash;
    expect(settings({ leaseMs: 2_000, batchMax: 7, subscription: "other" }).configHash).toBe(ours);
    for (const over of [
      { keyPolicy: "skip" },
      { keyPolicies: { orders: "stop" } },
      { attemptsMax: 3 },
      { topics: ["a"] },
      { types: ["a"] },
      { transportName: "http://receiver" },
    ] as const)
      expect(settings(over).configHash).not.toBe(ours);
  });
});
