/** The source's engine on a scripted client: what it makes of clients that stall, crash, go astray or tell of rebalances. */
import type { Delivery, Settlement, SourceEvent } from "@waybill/core";
import { waybillError } from "@waybill/core";
import { manualClock, seededRandom } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import type { ConsumerClient, ConsumerListener, Generation, OffsetToCommit, PartitionPosition, Reception } from "./consumer-client.ts";
import { runSession, type SessionEnd } from "./consumer-session.ts";
import { createHandlerCalls } from "./handler-calls.ts";
import { type KafkaSourceOptions, sourceSettings } from "./source-options.ts";

const done: Settlement = { kind: "done" };

interface Scripted {
  readonly generation: Generation;
  readonly resumed: { readonly partition: number; readonly from: bigint }[];
  readonly commits: (readonly OffsetToCommit[])[];
}

function fixture(handle: (delivery: Delivery) => Settlement | Promise<Settlement> = () => done, options: Partial<KafkaSourceOptions> = {}) {
  const clock = manualClock();
  const random = seededRandom(7);
  const events: SourceEvent[] = [];
  const settings = sourceSettings({
    brokers: ["127.0.0.1:1"],
    groupId: "g",
    topics: ["t"],
    clock,
    random,
    ...options,
    onEvent: (event) => void events.push(event as SourceEvent),
  });
  const handed: string[] = [];
  const calls = createHandlerCalls(
    async ([delivery]) => {
      if (delivery === undefined) return [];
      handed.push(delivery.message.id);
      return [await handle(delivery)];
    },
    clock,
    settings.inFlightMax,
  );
  let listener: ConsumerListener | null = null;
  let closed = 0;
  const client: ConsumerClient = {
    open(_, given) {
      listener = given;
      return {
        close() {
          closed += 1;
          return Promise.resolve();
        },
      };
    },
  };
  const stop = new AbortController();
  const ended: { end: SessionEnd | null } = { end: null };
  const run = (): Promise<SessionEnd> =>
    runSession({ client, calls, settings, clock, random, signal: stop.signal, onSettled: () => undefined });
  const session = run();
  const broken: { error: unknown } = { error: null };
  session.then(
    (end) => {
      ended.end = end;
    },
    (error: unknown) => {
      broken.error = error;
    },
  );

  const tell = (): ConsumerListener => {
    if (listener === null) throw new Error("it was not opened");
    return listener;
  };
  /** Joins with these positions; undefined: nobody says. */
  const join = (ends: Partial<PartitionPosition> = {}, partitions = 1): Scripted => {
    const resumed: { partition: number; from: bigint }[] = [];
    const commits: (readonly OffsetToCommit[])[] = [];
    const generation: Generation = {
      partitions: Array.from({ length: partitions }, (_, partition) => ({ topic: "t", partition })),
      positions: () =>
        Promise.resolve(
          Array.from({ length: partitions }, (_, partition) => ({
            topic: "t",
            partition,
            committed: null,
            low: 0n,
            high: 1_000n,
            ...ends,
          })),
        ),
      resume: ({ partition }, from) => void resumed.push({ partition, from }),
      commit(offsets) {
        commits.push(offsets);
        return Promise.resolve();
      },
    };
    tell().joined(generation);
    return { generation, resumed, commits };
  };
  const handOver = (from: number, count: number, partition = 0, key: string | null = null): Reception =>
    tell().received({
      topic: "t",
      partition,
      from: BigInt(from),
      next: BigInt(from + count),
      records: Array.from({ length: count }, (_, place) => ({
        offset: BigInt(from + place),
        key: key === null ? null : Buffer.from(key),
        value: Buffer.from("{}"),
        headers: Object.entries({ ce_specversion: "1.0", ce_id: `${partition}:${from + place}`, ce_type: "t", ce_source: "/" }).map(
          ([name, value]) => [name, Buffer.from(value)] as const,
        ),
        timestampMs: 0,
      })),
    });
  /** Time passes, and the client lives. */
  const live = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1_000) {
      tell().alive("fetch");
      tell().alive("heartbeat");
      await clock.advance(Math.min(1_000, left));
    }
  };
  const reasonOf = (): string | null => {
    if (broken.error !== null) throw new Error("the session rejected, which it never does", { cause: broken.error });
    return ended.end?.kind === "failed" ? ended.end.reason : null;
  };
  return { clock, events, handed, stop, ended, session, run, tell, join, handOver, live, reasonOf, closed: () => closed };
}

test("what the group has not committed is told now and then, while it is in", async () => {
  const { clock, tell, join, events } = fixture(undefined, { silenceMs: 2_000 });
  const lags = (): readonly unknown[] => events.filter(({ name }) => name === "source.lagMeasured");
  const live = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      tell().alive("fetch");
      tell().alive("heartbeat");
      await clock.advance(1_000);
    }
  };
  join({ committed: 990n }, 2);
  await live(3);
  expect(lags()).toEqual([{ system: "kafka", group: "g", name: "source.lagMeasured", messages: 20 }]);
  tell().rebalancing();
  await live(3);
  expect(lags()).toHaveLength(1);
});

describe("positions", () => {
  test("nothing is fetched before it is known where the group stands", async () => {
    const { clock, tell } = fixture();
    let say: (positions: readonly PartitionPosition[]) => void = () => undefined;
    const resumed: bigint[] = [];
    tell().joined({
      partitions: [{ topic: "t", partition: 0 }],
      positions: () =>
        new Promise((resolve) => {
          say = resolve;
        }),
      resume: (_, from) => void resumed.push(from),
      commit: () => Promise.resolve(),
    });
    await clock.advance(1_000);
    expect(resumed).toEqual([]);
    say([{ topic: "t", partition: 0, committed: 42n, low: 0n, high: 50n }]);
    await clock.advance(0);
    expect(resumed).toEqual([42n]);
  });

  test("brokers that do not say are asked again", async () => {
    const { clock, tell } = fixture();
    let asked = 0;
    const resumed: bigint[] = [];
    tell().joined({
      partitions: [{ topic: "t", partition: 0 }],
      positions() {
        asked += 1;
        return asked < 3
          ? Promise.reject(new Error("not now"))
          : Promise.resolve([{ topic: "t", partition: 0, committed: null, low: 3n, high: 9n }]);
      },
      resume: (_, from) => void resumed.push(from),
      commit: () => Promise.resolve(),
    });
    await clock.advance(5_000);
    expect(asked).toBe(3);
    expect(resumed).toEqual([3n]);
  });

  test("a hand-over from elsewhere is refused, and the partition fetched from where it stands", async () => {
    const { clock, join, handOver, events } = fixture();
    const { resumed } = join({ committed: 10n });
    await clock.advance(0);
    expect(handOver(10, 5)).toBe("goOn");
    expect(handOver(90, 5)).toBe("refused"); // of an older generation, say
    await clock.advance(0);
    expect(resumed.map(({ from }) => from)).toEqual([10n, 15n]);
    expect(events.filter(({ name }) => name === "source.gapFound")).toEqual([]);
  });
});

describe("a log that became shorter", () => {
  test("is read from its beginning, and what is settled of it is committed", async () => {
    const ends = { committed: 10n, low: 0n, high: 1_000n };
    const { clock, join, handOver, events } = fixture();
    const { resumed, commits } = join(ends);
    await clock.advance(0);
    handOver(10, 5);
    await clock.advance(300);
    ends.high = 5n;
    expect(handOver(0, 2)).toBe("refused"); // out of range, and the library went to the beginning
    await clock.advance(10_000);
    expect(events.map(({ name }) => name)).toContain("source.gapFound");
    expect(resumed.map(({ from }) => from)).toEqual([10n, 0n]);
    handOver(0, 3);
    await clock.advance(300);
    expect(commits.flat().map(({ next }) => next)).toEqual([15n, 3n]);
  });

  test("nothing is committed of it while handlers are at what was there before", async () => {
    const ends = { committed: 10n, low: 0n, high: 1_000n };
    let release: () => void = () => undefined;
    const { clock, join, handOver, handed } = fixture(({ message }) =>
      message.id === "0:11"
        ? new Promise<Settlement>((resolve) => {
            release = () => resolve(done);
          })
        : done,
    );
    const { commits } = join(ends);
    await clock.advance(0);
    handOver(10, 3);
    await clock.advance(300);
    ends.high = 5n;
    handOver(0, 2);
    await clock.advance(10_000);
    handOver(0, 3);
    await clock.advance(1_000);
    expect(handed.slice(-3)).toEqual(["0:0", "0:1", "0:2"]);
    expect(commits.flat().map(({ next }) => next)).toEqual([11n]);
    release();
    await clock.advance(1_000);
    expect(commits.flat().map(({ next }) => next)).toEqual([11n, 3n]);
  });
});

describe("generations", () => {
  test("what was handed over in one is not committed in the next", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { clock, join, handOver, tell } = fixture(async () => {
      await gate;
      return done;
    });
    const first = join();
    await clock.advance(0);
    handOver(0, 3);
    await clock.advance(0);
    tell().rebalancing();
    const second = join();
    await clock.advance(0);
    release();
    await clock.advance(10_000);
    expect(first.commits).toEqual([]);
    expect(second.commits).toEqual([]);
    expect(handOver(0, 3)).toBe("goOn"); // it comes again
  });

  test("at a rebalance what is settled is committed at once, and nothing new is handed over", async () => {
    const { clock, join, handOver, tell, handed, events } = fixture(({ message }) =>
      message.id === "0:3" ? { kind: "again", afterMs: 10 } : done,
    );
    const { commits } = join();
    await clock.advance(0);
    handOver(0, 1);
    await clock.advance(1);
    handOver(1, 3);
    await clock.advance(1);
    expect(commits.flat().map(({ next }) => next)).toEqual([1n]); // the next one is due in a quarter of a second
    tell().rebalancing();
    expect(commits.flat().map(({ next }) => next)).toEqual([1n, 3n]);
    const before = [...handed];
    await clock.advance(1_000);
    expect(handed).toEqual(before);
    expect(events.map(({ name }) => name)).toContain("source.rebalancing");
  });

  test("handlers of an older one keep their places until they end, and then the new one has them", async () => {
    const open: (() => void)[] = [];
    const { clock, join, handOver, tell, handed } = fixture(() => new Promise<Settlement>((resolve) => open.push(() => resolve(done))), {
      inFlightMax: 2,
    });
    join();
    await clock.advance(0);
    handOver(0, 2);
    tell().rebalancing();
    join();
    await clock.advance(0);
    handOver(0, 2);
    expect(handed).toEqual(["0:0", "0:1"]);
    for (const one of open.splice(0)) one();
    await clock.advance(0);
    expect(handed).toEqual(["0:0", "0:1", "0:0", "0:1"]);
  });

  test("handlers of an older session keep their places until they end, and then the next session has them", async () => {
    const open: (() => void)[] = [];
    const { clock, join, handOver, tell, handed, run } = fixture(
      () => new Promise<Settlement>((resolve) => open.push(() => resolve(done))),
      { inFlightMax: 2 },
    );
    join();
    await clock.advance(0);
    handOver(0, 2);
    tell().crashed(waybillError("WAYBILL_TRANSPORT", "It crashed.", { system: "kafka", reason: "refused", brokerCode: "16" }));
    await clock.advance(0);
    const next = run();
    next.catch(() => undefined);
    join();
    await clock.advance(0);
    handOver(0, 2);
    expect(handed).toEqual(["0:0", "0:1"]);
    for (const one of open.splice(0)) one();
    await clock.advance(0);
    expect(handed).toEqual(["0:0", "0:1", "0:0", "0:1"]);
  });

  test("a new one resumes every partition, whatever rested before", async () => {
    const { clock, join, handOver, tell } = fixture(() => new Promise<Settlement>(() => undefined));
    join({}, 2);
    await clock.advance(0);
    for (let from = 0; from < 3_000; from += 1_000) handOver(from, 1_000);
    expect(handOver(3_000, 1)).toBe("refused"); // it rests
    tell().rebalancing();
    const { resumed } = join({}, 2);
    await clock.advance(0);
    expect(resumed.map(({ partition }) => partition)).toEqual([0, 1]);
  });
});

describe("memory", () => {
  test("a partition rests when it holds enough, and is resumed when half of that is settled", async () => {
    const open: (() => void)[] = [];
    const { clock, join, handOver, live } = fixture(() => new Promise<Settlement>((resolve) => open.push(() => resolve(done))), {
      inFlightMax: 900,
      windowMax: 100_000,
    });
    const { resumed } = join();
    await clock.advance(0);
    expect(handOver(0, 1_000)).toBe("goOn");
    expect(handOver(1_000, 1_500)).toBe("rest");
    while (resumed.length === 1 && open.length > 0) {
      for (const one of open.splice(0)) one();
      await live(1);
    }
    expect(resumed.at(-1)?.from).toBe(2_500n);
  });

  test("all partitions together hold no more than they may", async () => {
    const { clock, join, handOver } = fixture(() => new Promise<Settlement>(() => undefined), { bytesMax: 1_048_576 });
    join({}, 2);
    await clock.advance(0);
    expect(handOver(0, 600, 0)).toBe("rest");
    expect(handOver(0, 600, 1)).toBe("refused");
    expect(handOver(0, 10, 1)).toBe("refused"); // it rests now
  });
});

describe("the watch", () => {
  test("a client that is silent is closed and the session fails, for whatever reason it is silent", async () => {
    const { clock, join, reasonOf, closed } = fixture();
    join();
    await clock.advance(32_000);
    expect(reasonOf()).toBe("noFetch");
    expect(closed()).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test("a client that never joins", async () => {
    const { clock, reasonOf } = fixture();
    await clock.advance(92_000);
    expect(reasonOf()).toBe("notJoined");
  });

  test("a handler that never ends", async () => {
    const { clock, join, handOver, live, reasonOf, ended } = fixture(() => new Promise<Settlement>(() => undefined));
    join({ high: 1n });
    await clock.advance(0);
    handOver(0, 1);
    await live(119_000);
    expect(reasonOf()).toBeNull();
    await live(4_000);
    expect(reasonOf()).toBe("noSettlement");
    expect(ended.end).toMatchObject({ hasProgressed: false });
  });

  test("a message that comes again and again is no stuck handler", async () => {
    const { join, handOver, live, clock, reasonOf } = fixture(() => ({ kind: "again", afterMs: 60_000 }));
    join({ high: 1n });
    await clock.advance(0);
    handOver(0, 1);
    await live(600_000);
    expect(reasonOf()).toBeNull();
  });

  test("nor is one that all others of its partition have to wait for, as far as the window goes", async () => {
    const { join, handOver, live, clock, reasonOf, handed } = fixture(
      ({ message }) => (message.id === "0:0" ? { kind: "again", afterMs: 60_000 } : done),
      { handlerDeadlineMs: 5_000, windowMax: 10 },
    );
    join({ high: 20n });
    await clock.advance(0);
    handOver(0, 20);
    await live(59_000);
    expect([reasonOf(), handed.length]).toEqual([null, 10]);
  });

  test("a commit that is never confirmed, and holds up everybody", async () => {
    const { tell, handOver, live, clock, reasonOf } = fixture(() => done, { handlerDeadlineMs: 5_000, windowMax: 10 });
    tell().joined({
      partitions: [{ topic: "t", partition: 0 }],
      positions: () => Promise.resolve([{ topic: "t", partition: 0, committed: null, low: 0n, high: 20n }]),
      resume: () => undefined,
      commit: () => Promise.reject(new Error("not now")),
    });
    await clock.advance(0);
    handOver(0, 20);
    await live(14_000);
    expect(reasonOf()).toBe("noSettlement");
  });

  test("a partition with messages that hands over none", async () => {
    const { join, live, reasonOf } = fixture();
    join({ high: 5n });
    await live(70_000);
    expect(reasonOf()).toBe("nothingDelivered");
  });

  test("an idle topic is no reason", async () => {
    const { join, live, reasonOf } = fixture();
    join({ high: 0n });
    await live(900_000);
    expect(reasonOf()).toBeNull();
  });

  test("a client that crashes", async () => {
    const { clock, join, tell, ended, closed } = fixture();
    join();
    tell().crashed(waybillError("WAYBILL_TRANSPORT", "It crashed.", { system: "kafka", reason: "refused", brokerCode: "16" }));
    await clock.advance(0);
    expect(ended.end).toMatchObject({ kind: "failed", reason: "refused:16", hasProgressed: false });
    expect(closed()).toBe(1);
  });
});

describe("the stop", () => {
  test("handlers end, what they settled is committed, and then the group is left", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { clock, join, handOver, stop, ended, closed, handed } = fixture(
      async () => {
        await gate;
        return done;
      },
      { inFlightMax: 2 },
    );
    const { commits } = join();
    await clock.advance(0);
    handOver(0, 5);
    await clock.advance(0);
    stop.abort();
    await clock.advance(1_000);
    expect(ended.end).toBeNull();
    release();
    await clock.advance(300);
    expect(ended.end).toEqual({ kind: "stopped" });
    expect(handed).toEqual(["0:0", "0:1"]);
    expect(commits.flat().at(-1)).toEqual({ topic: "t", partition: 0, next: 2n });
    expect(closed()).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test("handlers that do not end are waited for until the deadline, and what they had comes again", async () => {
    const { clock, join, handOver, stop, ended } = fixture(() => new Promise<Settlement>(() => undefined), { drainDeadlineMs: 2_000 });
    const { commits } = join();
    await clock.advance(0);
    handOver(0, 1);
    await clock.advance(0);
    stop.abort();
    await clock.advance(1_999);
    expect(ended.end).toBeNull();
    await clock.advance(10);
    expect(ended.end).toEqual({ kind: "stopped" });
    expect(commits).toEqual([]);
  });

  test("a rebalance meanwhile takes away what was to be committed", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { clock, join, handOver, stop, tell, ended, handed } = fixture(async () => {
      await gate;
      return done;
    });
    const first = join();
    await clock.advance(0);
    handOver(0, 1);
    await clock.advance(0);
    stop.abort();
    await clock.advance(0);
    tell().rebalancing();
    const second = join();
    release();
    await clock.advance(1_000);
    expect(ended.end).toEqual({ kind: "stopped" });
    expect([first.commits, second.commits, second.resumed]).toEqual([[], [], []]);
    expect(handed).toEqual(["0:0"]);
  });
});
