import { describe, expect, test } from "vitest";
import { type ConsumerView, isLagToBeAsked, type PartitionView, watchdogReason } from "./watchdog.ts";

const limits = { silenceMs: 30_000, rebalanceTimeoutMs: 60_000, handlerDeadlineMs: 60_000 };
const quiet: PartitionView = { silentSinceMs: null, idleSinceMs: null, outSinceMs: null, waitingSinceMs: null };
const view = (given: Partial<ConsumerView>, ...partitions: readonly Partial<PartitionView>[]): ConsumerView => ({
  nowMs: 1_000_000,
  joiningSinceMs: null,
  fetchedMs: 1_000_000,
  heartbeatMs: 1_000_000,
  settledMs: 1_000_000,
  partitions: partitions.map((partition) => ({ ...quiet, ...partition })),
  ...given,
});
const ago = (ms: number): number => 1_000_000 - ms;
const reason = (given: Partial<ConsumerView>, ...partitions: readonly Partial<PartitionView>[]) =>
  watchdogReason(view(given, ...partitions), limits);

test("a consumer that fetches, beats and settles lives", () => {
  expect(
    reason({ fetchedMs: ago(30_000), heartbeatMs: ago(30_000) }, { outSinceMs: ago(120_000), waitingSinceMs: ago(500_000) }),
  ).toBeNull();
});

describe("it is taken for dead", () => {
  test("without a fetch, whatever its heartbeats say, and the other way round", () => {
    expect(reason({ fetchedMs: ago(30_001) })).toBe("noFetch");
    expect(reason({ heartbeatMs: ago(30_001) })).toBe("noHeartbeat");
  });

  test("when a partition rests for five seconds with nothing in it", () => {
    expect(reason({}, {}, { idleSinceMs: ago(5_000) })).toBeNull();
    expect(reason({}, {}, { idleSinceMs: ago(5_001) })).toBe("restsThoughEmpty");
  });

  test("when what is with the handlers of a partition is not settled within twice their deadline, whatever the others do", () => {
    expect(reason({}, { outSinceMs: ago(120_001) })).toBe("noSettlement");
  });

  test("when nothing is settled at all and something waits", () => {
    expect(reason({ settledMs: ago(120_001) }, { waitingSinceMs: ago(120_001) })).toBe("noSettlement");
    expect(reason({ settledMs: ago(120_001) })).toBeNull(); // an idle topic
    expect(reason({}, { waitingSinceMs: ago(120_001) })).toBeNull(); // the others have their turns
  });

  test("when it does not get into the group; meanwhile nothing else is looked at", () => {
    expect(reason({ joiningSinceMs: ago(90_000), fetchedMs: ago(90_000), heartbeatMs: ago(90_000) }, { outSinceMs: 0 })).toBeNull();
    expect(reason({ joiningSinceMs: ago(90_001) })).toBe("notJoined");
  });
});

test("a partition that is fetched and hands over nothing is asked for its lag after twice the silence", () => {
  expect(isLagToBeAsked(view({}, { silentSinceMs: ago(60_000) }, {}), limits)).toBe(false);
  expect(isLagToBeAsked(view({}, {}, { silentSinceMs: ago(60_001) }), limits)).toBe(true);
});
