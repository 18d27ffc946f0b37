/** What was published is published again, beside the subscription that runs. */
import { replayHeader } from "@waybill/core";
import { namespace } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { type ReplayOptions, replay } from "../src/index.ts";
import { firstPublications, isAscending, itOn, type RelayFixture, row } from "./relay-fixture.ts";

await forEachDatabase((server) => {
  describe(`replay on ${server.name}`, () => {
    const it = itOn(server);
    const again = (fixture: RelayFixture, options: Partial<ReplayOptions> & Pick<ReplayOptions, "transport">) =>
      replay(fixture.database, namespace(fixture.database.dialect), { from: "beginning", who: "ann", why: "lost", ...options });

    it("publishes a range again, filtered, marked and in order, and moves no cursor", async ({ fixture }) => {
      await fixture.appendMany(300);
      await fixture.append(row("k1", "{}", "stock"), row("k1", "x".repeat(40_000)));
      const relay = fixture.start();
      await relay.hasPublished(302);
      await fixture.isSaved(302);
      const before = await fixture.subscription();
      const transport = memoryTransport();
      const report = await again(fixture, {
        transport,
        from: { id: 11n },
        topics: ["orders"],
        keys: ["k1", "k2"],
        messagesPerSecond: 10_000,
      });
      expect(report).toMatchObject({
        endedBy: "end",
        fromId: 11n,
        toId: 302n,
        nextId: 303n,
        rejected: [],
        published: transport.received.length,
      });
      const expected = Array.from({ length: 290 }, (_, place) => place + 11).filter((id) => [1, 2].includes(id % 10));
      expect(transport.received.map(({ sequence }) => Number(sequence))).toEqual([...expected, 302]);
      expect(transport.received.at(-1)?.payload).toHaveLength(40_000);
      expect(new Set(transport.received.map(({ headers }) => headers.get(replayHeader)))).toEqual(new Set(["default/default"]));
      expect(await fixture.subscription()).toMatchObject({ lastId: before.lastId, epoch: before.epoch, owner: before.owner });
      const audit = await fixture.run("select who, what, why from waybill_audit order by id");
      expect(audit).toEqual(["subscription.replay", "subscription.replayed"].map((what) => ({ who: "ann", what, why: "lost" })));
    });

    it("goes no further than the subscription has finished", async ({ fixture }) => {
      await fixture.append(row("a"), row("a"));
      const relay = fixture.start();
      await relay.hasPublished(2);
      await fixture.isSaved(2);
      await relay.stop();
      await fixture.append(row("a"));
      const transport = memoryTransport();
      await expect(again(fixture, { transport, to: { id: 3n } })).rejects.toMatchObject({
        code: "WAYBILL_POSITION_REFUSED",
        facts: { asked: 3n, highest: 2n },
      });
      await expect(again(fixture, { transport, subscription: "none" })).rejects.toMatchObject({ code: "WAYBILL_SUBSCRIPTION_REFUSED" });
      expect(await again(fixture, { transport, to: "now" })).toMatchObject({ endedBy: "end", toId: 2n, published: 2 });
    });

    it("keeps to its rate, and stopped it tells where to go on", async ({ fixture }) => {
      await fixture.appendMany(200);
      const relay = fixture.start();
      await relay.hasPublished(200);
      await fixture.isSaved(200);
      const transport = memoryTransport();
      const stop = new AbortController();
      const startedMs = performance.now();
      const running = again(fixture, { transport, messagesPerSecond: 50, signal: stop.signal });
      await waitUntil(() => transport.received.length >= 50, { what: "fifty are published" });
      // Calls of five, the first at once: fifty take nine waits of a tenth of a second.
      expect(performance.now() - startedMs).toBeGreaterThan(850);
      stop.abort();
      const report = await running;
      expect(report).toMatchObject({ endedBy: "signal", failure: null });
      expect(Number(report.nextId)).toBe(transport.received.length + 1);
      const rest = await again(fixture, { transport, from: { id: report.nextId }, messagesPerSecond: 10_000 });
      expect(rest).toMatchObject({ endedBy: "end", nextId: 201n });
      expect(transport.received.map(({ sequence }) => Number(sequence))).toEqual(Array.from({ length: 200 }, (_, place) => place + 1));
    });

    it("notes what is rejected, repeats what is unknown, and keeps each key's order", async ({ fixture }) => {
      await fixture.appendMany(40);
      const relay = fixture.start();
      await relay.hasPublished(40);
      await fixture.isSaved(40);
      const memory = memoryTransport();
      const seen = new Set<bigint>();
      const error = (reason: string) => Object.assign(new Error(reason), { facts: { system: "test", reason, brokerCode: null } }) as never;
      const transport: ReplayOptions["transport"] = {
        close: memory.close,
        publish: async (batch, options) => {
          const outcomes = [...(await memory.publish(batch, options))];
          return outcomes.map((outcome, place) => {
            const { sequence } = batch[place] as (typeof batch)[number];
            if (sequence === 7n) return { kind: "rejected", error: error("poison") };
            if (sequence % 9n !== 0n || seen.has(sequence)) return outcome;
            seen.add(sequence);
            return { kind: "unknown", scope: "message", error: error("cut") };
          });
        },
      };
      const report = await again(fixture, { transport, messagesPerSecond: 10_000 });
      expect(report).toMatchObject({ endedBy: "end", published: 39, unknown: 4, rejected: [{ sequence: 7n, reason: "poison" }] });
      for (const ids of firstPublications(memory.received).values()) expect(isAscending(ids)).toBe(true);
    });
  });
});
