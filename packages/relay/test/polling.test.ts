import { waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, row, type StartedRelay } from "./relay-fixture.ts";

const it = itOn();

/** How long the next reads take to begin. */
async function msForReads(relay: StartedRelay, count: number): Promise<number> {
  const begun = (): number => relay.eventsOf("relay.batchReading").length;
  const before = begun();
  await waitUntil(() => begun() > before, { what: "it reads", intervalMs: 1 });
  const fromMs = performance.now();
  await waitUntil(() => begun() > before + count, { what: `it reads ${count} times`, intervalMs: 1 });
  return performance.now() - fromMs;
}

const usual = { pollMinMs: 2, pollMaxMs: 100 } as const;

describe("polling", () => {
  it("is at most ten statements a second when nothing comes", async ({ fixture }) => {
    const relay = fixture.start(usual);
    await relay.seen("relay.batchApplied");
    expect(await msForReads(relay, 6)).toBeGreaterThan(550);
    const names = new Set(relay.events.map(({ name }) => name));
    expect(names.has("relay.holesLooking")).toBe(false);
    expect(names.has("relay.lookingUp")).toBe(false);
    expect(names.has("relay.cursorSaving")).toBe(false);
  });

  it("is quick when a message came, and slows down again when a second has passed", async ({ fixture }) => {
    const relay = fixture.start(usual);
    await fixture.append(row("k"));
    await relay.hasPublished(1);
    expect(await msForReads(relay, 10)).toBeLessThan(400);
    await waitUntil(async () => (await msForReads(relay, 2)) > 180, { what: "it reads every 100 ms again" });
  });

  it("does not pause while there is a backlog", async ({ fixture }) => {
    await fixture.appendMany(6_000, "'orders', null, '{}'");
    const relay = fixture.start({ pollMinMs: 30_000, pollMaxMs: 30_000 });
    await relay.hasPublished(6_000);
  });

  it("is not waited for after a wake", async ({ fixture }) => {
    const relay = fixture.start({ pollMinMs: 30_000, pollMaxMs: 30_000 });
    await relay.seen("relay.batchApplied");
    for (let count = 1; count <= 3; count += 1) {
      await fixture.append(row("k"));
      relay.relay.wake();
      await relay.hasPublished(count);
    }
  });

  it("loses no wake that comes while it reads: that read may have begun before the commit", async ({ fixture }) => {
    let wakes = 0;
    const relay = fixture.start({
      pollMinMs: 30_000,
      pollMaxMs: 30_000,
      onEvent: ({ name }) => {
        if (name !== "relay.batchReading" || wakes >= 3 || relay?.relay.health().state !== "active") return;
        wakes += 1;
        relay?.relay.wake();
      },
    });
    await relay.seen("relay.batchApplied");
    relay.relay.wake();
    await waitUntil(() => relay.eventsOf("relay.batchReading").length >= 5, { what: "it reads once for each wake" });
    expect(wakes).toBe(3);
  });

  it("of a relay that stands by is not disturbed by a wake", async ({ fixture }) => {
    const first = fixture.start();
    await first.seen("relay.leaseAcquired");
    const second = fixture.start();
    second.relay.wake();
    await second.seen("relay.standby");
    second.relay.wake();
    expect(second.eventsOf("relay.batchReading")).toEqual([]);
  });

  it("goes on without a pause worth speaking of while a call of the transport is under way", async ({ fixture }) => {
    const relay = fixture.start({ ...usual, publishDeadlineMs: 30_000 });
    const hang = relay.transport.inject({ kind: "hang", when: ({ sequence }) => sequence === 1n });
    await fixture.append(row("a"));
    await hang.hasFired();
    await fixture.append(row("b"));
    await relay.hasPublished(1);
    await waitUntil(() => relay.relay.health().isCaughtUp && relay.relay.health().oldestUnpublishedMs > 0, {
      what: "it has read all there is",
    });
    expect(relay.relay.health()).toMatchObject({ unconfirmed: 1, lowWaterMark: 1n });
  });
});
