import type { Delivery, Settlement } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { messageMaker } from "./contracts/message-maker.ts";
import { sourceContract } from "./contracts/source-contract.ts";
import { manualClock } from "./manual-clock.ts";
import { memorySource } from "./memory-source.ts";
import { waitUntil } from "./wait-until.ts";

const done: Settlement = { kind: "done" };
const allDone = async (batch: readonly Delivery[]): Promise<readonly Settlement[]> => batch.map(() => done);

describe("the memory source keeps the contract", () => {
  const cases = sourceContract({
    create: async () => {
      const source = memorySource();
      return { source, send: async (messages) => source.deliver(...messages), dispose: async () => {} };
    },
  });
  for (const { name, run } of cases) it(name, run);
});

describe("the memory source", () => {
  const make = messageMaker();

  it("hands over at most batchMax at once, in the order of delivery", async () => {
    const source = memorySource({ batchMax: 2 });
    const messages = [make(), make(), make()];
    source.deliver(...messages);
    const sizes: number[] = [];
    const stop = new AbortController();
    const consuming = source.consume(
      async (batch) => {
        sizes.push(batch.length);
        return allDone(batch);
      },
      { signal: stop.signal },
    );
    await waitUntil(() => source.unsettled === 0, { what: "all are settled" });
    stop.abort();
    await consuming;
    expect(sizes).toEqual([2, 1]);
    expect(source.settled).toEqual(messages);
    expect(source.handovers).toBe(2);
  });

  it("says of what is redelivered that it was delivered before", async () => {
    const source = memorySource();
    const message = make();
    source.deliver(message);
    source.redeliver(message);
    const said: (boolean | null)[] = [];
    const stop = new AbortController();
    await source.consume(
      async (batch) => {
        said.push(...batch.map(({ redelivered }) => redelivered));
        stop.abort();
        return allDone(batch);
      },
      { signal: stop.signal },
    );
    expect(said).toEqual([false, true]);
  });

  it("gives what a failing consume had out to the next one", async () => {
    const source = memorySource();
    const message = make();
    source.deliver(message);
    const never = new Promise<readonly Settlement[]>(() => undefined);
    const first = source.consume(() => never, { signal: new AbortController().signal });
    source.fail(new Error("the link is lost"));
    await expect(first).rejects.toThrow("the link is lost");
    expect(source.unsettled).toBe(1);
    const stop = new AbortController();
    const seen: Delivery[] = [];
    await source.consume(
      async (batch) => {
        seen.push(...batch);
        stop.abort();
        return allDone(batch);
      },
      { signal: stop.signal },
    );
    expect(seen).toEqual([{ message, redelivered: true }]);
  });

  it("waits for the time of 'again' on its own clock", async () => {
    const clock = manualClock();
    const source = memorySource({ clock });
    source.deliver(make());
    const stop = new AbortController();
    const consuming = source.consume(
      async (batch) => (source.handovers === 1 ? batch.map(() => ({ kind: "again", afterMs: 60_000 })) : allDone(batch)),
      {
        signal: stop.signal,
      },
    );
    await clock.advance(59_999);
    expect(source.handovers).toBe(1);
    await clock.advance(1);
    expect(source.unsettled).toBe(0);
    stop.abort();
    await consuming;
    expect(clock.timers).toBe(0);
  });

  it("refuses a second consumer beside the first", async () => {
    const source = memorySource();
    const stop = new AbortController();
    const first = source.consume(allDone, { signal: stop.signal });
    await expect(source.consume(allDone, { signal: stop.signal })).rejects.toThrow("one consumer at a time");
    stop.abort();
    await first;
  });
});
