/** The breaker of a destination: its topic. */
import { forEachDatabaseInTurn, type MemoryTransport, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, row } from "./relay-fixture.ts";

/** Sizes of the calls that go to the topic `dead`, and whether two of them were under way at a time. */
function watched(memory: MemoryTransport): { readonly transport: MemoryTransport; readonly sizes: number[]; isBeside(): boolean } {
  const sizes: number[] = [];
  let underWay = 0;
  let isBeside = false;
  const transport: MemoryTransport = Object.assign(Object.create(memory), {
    async publish(...[batch, options]: Parameters<MemoryTransport["publish"]>) {
      if (batch[0]?.topic !== "dead") return memory.publish(batch, options);
      sizes.push(batch.length);
      underWay += 1;
      isBeside ||= underWay > 1;
      return memory.publish(batch, options).finally(() => {
        underWay -= 1;
      });
    },
  });
  return { transport, sizes, isBeside: () => isBeside };
}

await forEachDatabaseInTurn("breaker", (server) =>
  describe(`the breaker of a destination on ${server.name}`, () => {
    const it = itOn(server);

    it("opens after failures in a row, lets one message at a time through, and closes with the first that is confirmed", async ({
      fixture,
    }) => {
      const memory = memoryTransport();
      const dead = memory.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ topic }) => topic === "dead" });
      const { transport, sizes, isBeside } = watched(memory);
      await fixture.appendMany(300, "case when n % 3 = 0 then 'alive' else 'dead' end, concat('k', n % 7), '{}'");
      const relay = fixture.start({ memory, transport, breakerFailuresMax: 4, attemptsMax: 2 });

      expect(await relay.seen("relay.breakerOpened")).toMatchObject({ topic: "dead", failures: 4 });
      await waitUntil(() => relay.relay.health().openBreakers.join() === "dead", { what: "health names it" });
      // The others go on, with what was there and with what is new.
      await relay.hasPublished(100);
      await fixture.append(row("k", "{}", "alive"));
      await relay.hasPublished(101);
      expect(memory.received.every(({ topic }) => topic === "alive")).toBe(true);
      await dead.hasFired(12);
      expect(relay.eventsOf("relay.breakerOpened")).toHaveLength(1);
      expect(relay.eventsOf("relay.breakerClosed")).toEqual([]);
      const tries = sizes.length;
      expect(sizes.slice(1)).toEqual(sizes.slice(1).map(() => 1));

      dead.lift();
      expect(await relay.seen("relay.breakerClosed")).toMatchObject({ topic: "dead" });
      await relay.hasPublished(301);
      await fixture.isSaved(301);
      // Whatever was on its way then, the one that proved it went alone.
      expect(sizes.slice(tries).find((size) => size > 1)).toBeGreaterThan(1);
      expect(sizes[tries]).toBe(1);
      expect(relay.eventsOf("relay.breakerClosed")).toHaveLength(1);
      expect(relay.relay.health()).toMatchObject({ openBreakers: [], waitingTopics: [], parked: 0 });
      for (const [, sequences] of firstPublications(memory.received)) expect(isAscending(sequences)).toBe(true);
      expect(new Set(relay.sequences()).size).toBe(301);
      expect(await fixture.letters()).toEqual([]);
      expect(isBeside()).toBe(false);
    });

    it("opens for messages of which nobody knows whether they arrived, and then they use up no attempts", async ({ fixture }) => {
      const memory = memoryTransport();
      const silent = memory.inject({ kind: "unknown", isStored: false, times: 1_000_000, when: ({ topic }) => topic === "dead" });
      await fixture.appendMany(40, "case when n % 2 = 0 then 'alive' else 'dead' end, concat('k', n), '{}'");
      const relay = fixture.start({ memory, breakerFailuresMax: 4, attemptsMax: 3 });
      await relay.seen("relay.breakerOpened", { when: ({ topic }) => topic === "dead" });
      await silent.hasFired(100);
      expect(await fixture.letters()).toEqual([]);
      await relay.hasPublished(20);
      silent.lift();
      await relay.hasPublished(40);
      await relay.seen("relay.breakerClosed", { when: ({ topic }) => topic === "dead" });
      await fixture.isSaved(40);
      expect(await fixture.letters()).toEqual([]);
    });

    it("stays closed for one message that fails for ever: its attempts end it, and its topic goes on", async ({ fixture }) => {
      const memory = memoryTransport();
      memory.inject({ kind: "unknown", isStored: false, times: 1_000_000, when: ({ sequence }) => sequence === 1n });
      await fixture.append(row("bad"), row("good"));
      const relay = fixture.start({ memory, breakerFailuresMax: 2, attemptsMax: 6 });
      await waitUntil(async () => (await fixture.letters()).length === 1, { what: "it is given up" });
      await fixture.append(row("good"));
      await relay.hasPublished(2);
      expect(relay.eventsOf("relay.breakerOpened")).toEqual([]);
    });
  }),
);
