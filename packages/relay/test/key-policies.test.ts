import { forEachDatabase, type MemoryTransport, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, type RelayFixture, row } from "./relay-fixture.ts";

const hasLetters = (fixture: RelayFixture, ...wanted: readonly string[]): Promise<unknown> =>
  waitUntil(async () => (await fixture.letters()).join("\n") === wanted.join("\n"), { what: `the dead letters are ${wanted.join(", ")}` });

function rejecting(...sequences: readonly number[]): MemoryTransport {
  const transport = memoryTransport();
  transport.inject({ kind: "reject", reason: "tooLarge", times: 1_000, when: ({ sequence }) => sequences.includes(Number(sequence)) });
  return transport;
}

await forEachDatabase((server) =>
  describe(`key policies on ${server.name}`, () => {
    const it = itOn(server);

    it("are those of the topic, and the common one where it has none", async ({ fixture }) => {
      const transport = rejecting(1, 2);
      await fixture.append(row("k", "1", "held"), row("k", "2", "skipped"), row("k", "3", "held"), row("k", "4", "skipped"));
      const relay = fixture.start({ memory: transport, keyPolicies: { skipped: "skip" } });
      await hasLetters(fixture, "1 dead tooLarge", "2 dead tooLarge", "3 held -");
      await relay.hasPublished(1);
      expect(relay.sequences()).toEqual([4]);
    });

    describe("stop", () => {
      it("lets the whole topic wait, and no other, until its dead letter is decided; then everything follows in order", async ({
        fixture,
      }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport, keyPolicies: { orders: "stop" } });
        await hasLetters(fixture, "1 dead tooLarge");
        await fixture.append(row("k"), row("other"), row(null), row("k", "{}", "stock"));
        await relay.hasPublished(1);
        await waitUntil(() => relay.relay.health().parked === 3, { what: "the topic waits" });
        expect(relay.sequences()).toEqual([5]);
        expect(relay.relay.health().stoppedTopics).toEqual(["orders"]);
        // Nothing of it is copied behind the dead letter: it waits where it is.
        expect(await fixture.letters()).toEqual(["1 dead tooLarge"]);
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(5);
        expect(relay.sequences().slice(0, 2)).toEqual([5, 1]);
        expect(firstPublications(transport.received).get("orders k")).toEqual([1, 2]);
        await relay.seen("relay.topicResumed");
        await fixture.isSaved(5);
        expect(relay.relay.health().stoppedTopics).toEqual([]);
      });

      it("sends nothing of the topic behind a durable dead letter, whatever stood ready", async ({ fixture }) => {
        const transport = rejecting(3);
        let isDead = false;
        const behind: number[] = [];
        await fixture.appendMany(400, "'orders', concat('k', n % 50), '{}'");
        const relay = fixture.start({
          memory: transport,
          keyPolicy: "stop",
          batchMax: 5,
          callsPerTopicMax: 1,
          onEvent: ({ name }) => {
            if (name === "relay.deadLettered") isDead = true;
            if (name === "relay.publishing" && isDead) behind.push(transport.received.length);
          },
        });
        await relay.seen("relay.deadLettered");
        const sent = transport.received.length;
        await relay.seen("relay.releasedReading", { after: relay.events.length });
        expect(transport.received.length).toBe(sent);
        expect(behind).toEqual([]);
        await fixture.discard();
        await relay.hasPublished(399);
        for (const sequences of firstPublications(transport.received).values()) expect(isAscending(sequences)).toBe(true);
      });

      it("is kept by the next relay, which asks before it publishes anything", async ({ fixture }) => {
        await fixture.append(row("k"), row("other"));
        const first = fixture.start({ memory: rejecting(1), keyPolicy: "stop" });
        await hasLetters(fixture, "1 dead tooLarge");
        await first.stop();
        const sent = first.sequences().length;
        await fixture.append(row("another"), row("k", "{}", "stock"));
        const second = fixture.start({ keyPolicy: "stop" });
        await second.seen("relay.topicStopped");
        await second.hasPublished(1);
        expect(second.sequences()).toEqual([4]);
        await fixture.redrive();
        await second.hasPublished(4 - sent);
        expect(second.sequences()[1]).toBe(1);
      });

      it("spills what waits, and brings it back behind what was released", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport, keyPolicy: "stop", spillAfterMs: 60 });
        await hasLetters(fixture, "1 dead tooLarge");
        await fixture.appendMany(100, "'orders', concat('k', n % 4), '{}'");
        await relay.seen("relay.spilled");
        await fixture.isSaved(101);
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(101);
        expect(relay.sequences()[0]).toBe(1);
        for (const sequences of firstPublications(transport.received).values()) expect(isAscending(sequences)).toBe(true);
      });
    });
  }),
);
