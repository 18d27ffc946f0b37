import { getEventListeners } from "node:events";
import { isWaybillError, type Transport, type WaybillEvent, waybillError } from "@waybill/core";
import type { Database } from "@waybill/sql";
import { manualClock, seededRandom } from "@waybill/testing";
import { describe, expect, test, vi } from "vitest";
import { createRelays, type OneOfRelays, type RelaysOptions } from "./relays.ts";

/** A loaded machine takes its time. */
const within = { timeout: 30_000 } as const;

/** None of these is touched: `beforeStart` holds every relay back. */
const one = (name: string, over: Partial<OneOfRelays> = {}): OneOfRelays => ({
  name,
  database: { dialect: "postgres" } as Database,
  transport: { publish: () => Promise.resolve([]), close: () => Promise.resolve() } satisfies Transport,
  subscription: name,
  beforeStart: () => new Promise(() => undefined),
  ...over,
});

const refused = waybillError("WAYBILL_SCHEMA_MISMATCH", "Run waybill migrate up.", { set: "relay", found: 1, needed: 2 });

function problemsOf(options: RelaysOptions): readonly string[] {
  try {
    createRelays(options);
    return [];
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error.facts.problems.map(({ option, problem }) => `${option}: ${problem}`);
    throw error;
  }
}

describe("several relays", () => {
  test("one that is refused is told of and begun anew after a wait, while the others go on", async () => {
    const clock = manualClock();
    const events: WaybillEvent[] = [];
    const beforeStart = vi.fn(() => Promise.reject(refused));
    const stop = new AbortController();
    const relays = createRelays({
      relays: [one("a", { beforeStart, onEvent: (event) => events.push(event) }), one("b")],
      clock,
      random: seededRandom(1),
    });
    const ends = relays.run({ signal: stop.signal });
    expect(relays.run({ signal: stop.signal })).toBe(ends);
    await vi.waitFor(() => expect(events).toHaveLength(1), within);
    expect(events[0]).toMatchObject({
      name: "relays.relayEnded",
      subscription: "a",
      code: "WAYBILL_SCHEMA_MISMATCH",
      message: refused.message,
    });
    expect(relays.health()).toMatchObject([
      { name: "a", endedWith: refused, health: { state: "starting" } },
      { name: "b", endedWith: null },
    ]);
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(beforeStart.mock.calls.length).toBeGreaterThan(20);
    }, within);
    // However often it is begun anew, and however many they are, one listener is on the signal of the caller.
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    stop.abort();
    expect(await ends).toEqual([
      { name: "a", kind: "failed", error: refused },
      { name: "b", kind: "drained" },
    ]);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });

  test("what one held is closed when it has ended for good, whatever the others do; a relay that drained has ended with nothing", async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    let closeA: () => void = () => undefined;
    let refuses = true;
    const clock = manualClock();
    const relays = createRelays({
      relays: [
        one("a", { afterEnd: () => new Promise((resolve) => (closeA = resolve)) }),
        one("b", {
          beforeStart: () => (refuses ? Promise.reject(refused) : new Promise(() => undefined)),
          afterEnd: () => Promise.reject(new Error(ended.push("b").toString())),
        }),
      ],
      clock,
    });
    const ends = relays.run({ signal: stop.signal });
    await vi.waitFor(() => expect(relays.health()[1]?.endedWith).toBe(refused), within);
    expect(ended).toEqual([]);
    refuses = false;
    await clock.advance(60_000);
    stop.abort();
    await vi.waitFor(() => expect(ended).toEqual(["b"]), within);
    closeA();
    expect(await ends).toMatchObject([{ kind: "drained" }, { kind: "drained" }]);
    expect(relays.health().map(({ endedWith }) => endedWith)).toEqual([null, null]);
  });

  test("when the last one that ran has ended, all have: nobody waits for a wonder", async () => {
    let refuseB: () => void = () => undefined;
    const events: WaybillEvent[] = [];
    const onEvent = (event: WaybillEvent): void => void events.push(event);
    const relays = createRelays({
      relays: [
        one("a", { beforeStart: () => Promise.reject(refused), onEvent }),
        one("b", { beforeStart: () => new Promise((_, reject) => (refuseB = () => reject(new TypeError("canary")))), onEvent }),
      ],
      clock: manualClock(),
    });
    const ends = relays.run({ signal: new AbortController().signal });
    await vi.waitFor(() => expect(events).toHaveLength(1), within);
    refuseB();
    expect(await ends).toMatchObject([
      { name: "a", kind: "failed", error: refused },
      { name: "b", kind: "failed" },
    ]);
    expect(events[1]).toMatchObject({ subscription: "b", code: "UNEXPECTED", message: "TypeError", afterMs: null });
    expect(JSON.stringify(events)).not.toContain("canary");
  });

  test("a stop before the start begins nothing", async () => {
    const beforeStart = vi.fn(() => Promise.reject(refused));
    const ends = await createRelays({ relays: [one("a", { beforeStart })] }).run({ signal: AbortSignal.abort() });
    expect(ends).toEqual([{ name: "a", kind: "drained" }]);
    expect(beforeStart).not.toHaveBeenCalled();
  });

  test("everything that is wrong is told at once, with the relay it belongs to", () => {
    const first = one("a");
    expect(problemsOf({ relays: [] })).toContain("relays: at least one");
    const problems = problemsOf({
      relays: [first, { ...first, leaseMs: 1 }, one("", { stream: "a.b" })],
      restartBackoff: { firstMs: 0, maxMs: 1 },
      totalLoadedMax: 100,
    });
    for (const expected of [
      "relays[1].name: another name than relays[0]",
      "relays[1].database: a Database of its own",
      "relays[1].transport: a transport of its own",
      "relays[1].leaseMs: a whole number from 500",
      "relays[2].name: not empty",
      "relays[2].stream: must be a plain name",
      "restartBackoff: ",
      "totalLoadedMax: a whole number, for these 3 relays at least 3000",
    ]) {
      expect(problems.join("\n")).toContain(expected);
    }
  });
});
