import { describe, expect, test } from "vitest";
import { exchangeFindings, type QueueFacts, queueFindings, settingsOf } from "./topology-lint.ts";

const quorum: QueueFacts = {
  type: "quorum",
  isDurable: true,
  isAutoDelete: false,
  isExclusive: false,
  settings: { "delivery-limit": 1_000_000_000 },
  deadLetters: "none",
  brokerMajor: 4,
};

const refused = (given: Partial<QueueFacts>): readonly (string | null)[] =>
  queueFindings({ ...quorum, ...given })
    .filter(({ isRefused }) => isRefused)
    .map(({ argument }) => argument);

describe("a queue", () => {
  test("of ours is accepted, with limits and dead letters, too", () => {
    expect(queueFindings(quorum)).toEqual([]);
    const settings = { "delivery-limit": 5, "max-length": 10, overflow: "reject-publish", "message-ttl": 1_000 };
    expect(queueFindings({ ...quorum, settings, deadLetters: "queue" })).toEqual([]);
  });

  test("A3 with a limit and drop-head, which is also the default, is refused", () => {
    for (const limit of ["max-length", "max-length-bytes"]) {
      expect(refused({ settings: { ...quorum.settings, [limit]: 1 } })).toEqual(["x-overflow"]);
      expect(refused({ settings: { ...quorum.settings, [limit]: 1, overflow: "drop-head" } })).toEqual(["x-overflow"]);
      expect(refused({ settings: { ...quorum.settings, [limit]: 1, overflow: "reject-publish" } })).toEqual([]);
    }
  });

  test("with a time to live is refused unless it leads dead letters to a queue", () => {
    const settings = { ...quorum.settings, "message-ttl": 1_000 };
    expect(refused({ settings })).toEqual(["x-message-ttl"]);
    expect(refused({ settings, deadLetters: "queue" })).toEqual([]);
    expect(refused({ settings, deadLetters: "nowhere" })).toEqual(["x-dead-letter-exchange", "x-message-ttl"]);
  });

  test("that vanishes by itself is refused", () => {
    expect(refused({ isDurable: false })).toEqual(["durable"]);
    expect(refused({ isAutoDelete: true })).toEqual(["auto-delete"]);
    expect(refused({ isExclusive: true })).toEqual(["exclusive"]);
    expect(refused({ settings: { ...quorum.settings, expires: 1 } })).toEqual(["x-expires"]);
  });

  test("B2 with a delivery limit that can be reached is refused without a dead-letter queue; the default counts since 4.0", () => {
    expect(refused({ settings: {} })).toEqual(["x-delivery-limit"]);
    expect(refused({ settings: {}, brokerMajor: 3 })).toEqual([]);
    expect(refused({ settings: { "delivery-limit": 20 }, brokerMajor: 3 })).toEqual(["x-delivery-limit"]);
    expect(refused({ settings: { "delivery-limit": -1 } })).toEqual([]);
    expect(refused({ settings: { "delivery-limit": -1 }, brokerMajor: 3 })).toEqual(["x-delivery-limit"]);
    expect(refused({ settings: {}, deadLetters: "queue" })).toEqual([]);
    expect(refused({ type: "classic", settings: {} })).toEqual([]);
  });

  test("of type classic is a risk, not refused", () => {
    expect(queueFindings({ ...quorum, type: "classic" })).toMatchObject([{ isRefused: false, argument: "x-queue-type" }]);
  });
});

test("an alternate exchange, which hides what no queue takes, is a risk", () => {
  expect(exchangeFindings({ isDurable: true, settings: {} })).toEqual([]);
  expect(exchangeFindings({ isDurable: true, settings: { "alternate-exchange": "other" } })).toMatchObject([{ isRefused: false }]);
});

describe("what is in force", () => {
  test("of limits it is the lower one, of everything else the argument, and what only one of them says", () => {
    const given = { "x-delivery-limit": 1_000_000_000, "x-max-length": 10, "x-overflow": "reject-publish", "x-queue-type": "quorum" };
    const policy = { "delivery-limit": 20, "max-length": 50, overflow: "drop-head", "message-ttl": 5 };
    const inForce = {
      "delivery-limit": 20,
      "max-length": 10,
      overflow: "reject-publish",
      "queue-type": "quorum",
      "message-ttl": 5,
    };
    expect(settingsOf(given, policy, 3)).toEqual(inForce);
    expect(settingsOf(given, policy, 4)).toEqual(inForce);
  });

  test("a negative delivery limit is none since 4.0, and the lowest before", () => {
    const given = { "x-delivery-limit": 1_000_000_000 };
    expect(settingsOf(given, { "delivery-limit": -1 }, 4)).toEqual({ "delivery-limit": 1_000_000_000 });
    expect(settingsOf(given, { "delivery-limit": -1 }, 3)).toEqual({ "delivery-limit": -1 });
  });
});
