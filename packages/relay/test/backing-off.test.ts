import { type FailureScope, type PublishOutcome, type Transport, waybillError } from "@waybill/core";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, row } from "./relay-fixture.ts";

await forEachDatabase((server) =>
  describe(`backing off on ${server.name}`, () => {
    const it = itOn(server);

    describe("a message that fails for its own sake", () => {
      it("is tried again without losing its place, and delays no other key", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", times: 6, when: ({ sequence }) => sequence === 2n });
        await fixture.append(row("k"), row("k"), row("k"), row("other"), row("k"));
        const relay = fixture.start({ memory: transport });
        await relay.hasPublished(5);
        expect(failing.fired).toBe(6);
        expect(firstPublications(transport.received).get("orders k")).toEqual([1, 2, 3, 5]);
        expect(relay.sequences().indexOf(4)).toBeLessThan(relay.sequences().indexOf(2));
        expect(relay.eventsOf("relay.retrying")[0]).toMatchObject({ attempt: 1, scope: "message", topic: "orders", mayBeStored: false });
      });

      it("costs no listener of its own while it waits, however many do", async ({ fixture }) => {
        const warnings: Error[] = [];
        const onWarning = (warning: Error): number => warnings.push(warning);
        process.on("warning", onWarning);
        try {
          const transport = memoryTransport();
          const failing = transport.inject({ kind: "retry", times: 300 });
          await fixture.appendMany(200, "'orders', null, '{}'");
          const relay = fixture.start({ memory: transport });
          await relay.hasPublished(200);
          expect(failing.fired).toBe(300);
        } finally {
          process.off("warning", onWarning);
        }
        expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
      });

      it("is published again when its outcome is unknown", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "unknown", isStored: true, times: 1, when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("k"), row("k"));
        const relay = fixture.start({ memory: transport });
        await relay.hasPublished(3);
        expect(relay.sequences()).toEqual([1, 1, 2]);
        await fixture.isSaved(2);
      });

      it("waits at least as long as the receiver asked for", async ({ fixture }) => {
        const transport = memoryTransport();
        const at: number[] = [];
        const asked = { kind: "retry", afterMs: 400, times: 1 } as const;
        transport.inject({
          ...asked,
          when: () => {
            at.push(performance.now());
            return true;
          },
        });
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport, messageBackoff: { firstMs: 1, maxMs: 2 } });
        await relay.hasPublished(1);
        expect(performance.now() - (at[0] ?? 0)).toBeGreaterThanOrEqual(395);
      });

      it("behind one that a transport confirmed out of turn is published again in its turn", async ({ fixture }) => {
        const received: number[] = [];
        let hasFailed = false;
        const transport: Transport = {
          publish: async (batch) =>
            batch.map(({ sequence }) => {
              const fails = sequence === 1n && !hasFailed;
              if (fails) hasFailed = true;
              else received.push(Number(sequence));
              return fails ? failed : ({ kind: "confirmed" } as const);
            }),
          close: () => Promise.resolve(),
        };
        const failed = retryOf("message");
        await fixture.append(row("k"), row("k"));
        fixture.start({ transport });
        await waitUntil(() => received.length === 3, { what: "both were published in order" });
        expect(received).toEqual([2, 1, 2]);
      });
    });

    function retryOf(scope: FailureScope): PublishOutcome {
      const error = waybillError("WAYBILL_TRANSPORT", "told to fail", { system: "test", reason: "busy", brokerCode: null });
      return { kind: "retry", error, scope };
    }

    describe("a topic that fails", () => {
      it("stops no other topic, is parked without a byte in memory, and recovers in order with no attempt used up", async ({ fixture }) => {
        const transport = memoryTransport();
        const dead = transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ topic }) => topic === "dead" });
        await fixture.appendMany(1_000, "case when n % 2 = 0 then 'dead' else 'alive' end, concat('k', n % 10), repeat('x', 1000)");
        const relay = fixture.start({ memory: transport, attemptsMax: 2 });
        await relay.hasPublished(500);
        await dead.hasFired(8);
        expect(transport.received.every(({ topic }) => topic === "alive")).toBe(true);
        // Between two tries nothing of it is loaded.
        await waitUntil(
          () => {
            const { parked, loadedBytes, waitingTopics } = relay.relay.health();
            return parked === 500 && loadedBytes === 0 && waitingTopics.join() === "dead";
          },
          { what: "all of the dead topic is parked, and it waits", intervalMs: 1 },
        );
        expect(relay.eventsOf("relay.parked").length).toBeGreaterThan(0);
        await fixture.append(row("k", "{}", "alive"));
        await relay.hasPublished(501);
        dead.lift();
        await relay.hasPublished(1_001);
        for (const [, sequences] of firstPublications(transport.received)) expect(isAscending(sequences)).toBe(true);
        expect(await fixture.letters()).toEqual([]);
        await fixture.isSaved(1_001);
        expect(relay.relay.health()).toMatchObject({
          parked: 0,
          waitingTopics: [],
          loadedBytes: 0,
          unconfirmed: 0,
          oldestUnpublishedMs: 0,
        });
      });

      it("is brought back while another topic still has a long backlog to bring", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", scope: "topic", times: 1, when: ({ topic }) => topic === "failed" });
        await fixture.appendMany(20, "'failed', concat('k', n), '{}'");
        await fixture.appendMany(5_000, "'long', concat('k', n), '{}'");
        const relay = fixture.start({ memory: transport, loadedMax: 100, batchMax: 10 });
        await relay.hasPublished(5_020);
        expect(failing.fired).toBe(1);
        const topics = transport.received.map(({ topic }) => topic);
        expect(topics.lastIndexOf("failed")).toBeLessThan(4_000);
      });

      it("is tried with one message at a time until it has recovered", async ({ fixture }) => {
        const calls: number[] = [];
        const transport: Transport = {
          publish: async (batch) => {
            calls.push(batch.length);
            return batch.map(() => (calls.length < 5 ? retryOf("topic") : { kind: "confirmed" }));
          },
          close: () => Promise.resolve(),
        };
        await fixture.appendMany(200, "'orders', null, '{}'");
        fixture.start({ transport });
        await fixture.isSaved(200);
        expect(calls.slice(1, 5)).toEqual([1, 1, 1, 1]);
      });

      it("with more waiting messages than may be loaded takes no memory for them, and the others flow", async ({ fixture }) => {
        const transport = memoryTransport();
        const dead = transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ topic }) => topic === "dead" });
        await fixture.appendMany(4_000, "'dead', null, repeat('x', 1000)");
        let loadedMax = 0;
        let isWatching = false;
        const relay = fixture.start({
          memory: transport,
          loadedMax: 500,
          loadedBytesMax: 500 * 1_300,
          onEvent: () => {
            if (isWatching) loadedMax = Math.max(loadedMax, relay?.relay.health().loadedBytes ?? 0);
          },
        });
        await waitUntil(() => relay.relay.health().parked >= 3_990, { what: "the dead topic is parked" });
        isWatching = true;
        const fired = dead.fired;
        const brought = relay.eventsOf("relay.parkedReading").length;
        for (let round = 1; round <= 5; round += 1) {
          await fixture.append(row("k", "{}", "alive"));
          await relay.hasPublished(round, 3_000);
        }
        await dead.hasFired(fired + 10);
        // A try brings one message; the few others are those of the topic that is alive.
        expect(loadedMax).toBeLessThan(20 * 1_400);
        expect(relay.eventsOf("relay.parkedReading").length - brought).toBeLessThan(2 * (dead.fired - fired) + 10);
        dead.lift();
        await relay.hasPublished(4_005);
        expect(loadedMax).toBeLessThan(2 * 500 * 1_300);
        await fixture.isSaved(4_005);
      });

      it("with one call that hangs holds up neither other topics nor other keys", async ({ fixture }) => {
        const transport = memoryTransport();
        const hang = transport.inject({ kind: "hang", when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("slow"));
        const relay = fixture.start({ memory: transport, publishDeadlineMs: 60_000 });
        await hang.hasFired();
        await fixture.append(row("slow"), row("other"), row("k", "{}", "stock"));
        await relay.hasPublished(2);
        expect(new Set(relay.sequences())).toEqual(new Set([3, 4]));
      });
    });

    describe("an outage of the transport", () => {
      it("uses up no attempts, backs off, and everything is published in order after it", async ({ fixture }) => {
        const transport = memoryTransport();
        const outage = transport.inject({ kind: "retry", scope: "transport", times: 1_000_000 });
        await fixture.appendMany(100);
        const relay = fixture.start({ memory: transport, attemptsMax: 1 });
        await outage.hasFired(5);
        await relay.seen("relay.retrying", { when: ({ scope }) => scope === "transport" });
        outage.lift();
        await relay.hasPublished(100);
        for (const [, sequences] of firstPublications(transport.received)) expect(isAscending(sequences)).toBe(true);
        expect(await fixture.letters()).toEqual([]);
        await fixture.isSaved(100);
      });

      it("that only one relay has makes it hand the lease over to another", async ({ fixture }) => {
        const broken = memoryTransport();
        broken.inject({ kind: "retry", scope: "transport", times: 1_000_000 });
        await fixture.append(row("k"));
        const first = fixture.start({ memory: broken, outageBackoff: { firstMs: 1, maxMs: 2_000 } });
        await first.seen("relay.leaseAcquired");
        const second = fixture.start();
        await second.hasPublished(1);
        await first.seen("relay.leaseReleased");
        expect(second.eventsOf("relay.leaseAcquired")[0]).toMatchObject({ wasReleased: true });
        expect(first.relay.health().state).not.toBe("active");
      });

      it("in which calls never settle ends each of them unknown by the deadline, and repeats it", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "hang", times: 1 });
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport, publishDeadlineMs: 100 });
        await relay.hasPublished(1);
        expect(relay.eventsOf("relay.retrying")[0]).toMatchObject({
          scope: "transport",
          reason: "deadline",
          mayBeStored: true,
          attempt: 0,
        });
        expect(relay.eventsOf("relay.restarting")).toEqual([]);
      });
    });

    describe("rejections", () => {
      it("of one kind, ten in a row, are taken for a failure of the topic: no more dead letters, until one message succeeds", async ({
        fixture,
      }) => {
        const transport = memoryTransport();
        const wrong = transport.inject({ kind: "reject", reason: "forbidden", times: 1_000_000 });
        await fixture.appendMany(40, "'orders', null, '{}'");
        const relay = fixture.start({ memory: transport, attemptsMax: 1 });
        const braked = await relay.seen("relay.topicBraked");
        expect(braked).toMatchObject({ topic: "orders", reason: "forbidden" });
        await waitUntil(async () => (await fixture.letters()).length === 10, { what: "ten are dead letters" });
        await wrong.hasFired(wrong.fired + 5);
        expect(await fixture.letters()).toHaveLength(10);
        wrong.lift();
        await relay.hasPublished(30);
        await relay.seen("relay.topicReleased");
        expect(await fixture.letters()).toHaveLength(10);
      });

      it("of different kinds, or with a success between, are ten bad messages", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "reject", reason: "forbidden", times: 1_000_000, when: ({ sequence }) => sequence % 4n === 1n });
        transport.inject({ kind: "reject", reason: "tooLarge", times: 1_000_000, when: ({ sequence }) => sequence % 4n === 3n });
        await fixture.appendMany(40, "'orders', null, '{}'");
        const relay = fixture.start({ memory: transport, batchMax: 1, callsMax: 1 });
        await waitUntil(async () => (await fixture.letters()).length === 20, { what: "all of them are dead letters" });
        expect(relay.eventsOf("relay.topicBraked")).toEqual([]);
        expect(transport.received).toHaveLength(20);
      });
    });

    describe("a row that is gone when its turn comes", () => {
      it("is reported and let go", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", times: 1_000, when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("k"), row("k"));
        // Its id is a hole again, which is proved dead or, where nothing can be proved, taken.
        const relay = fixture.start({ memory: transport, holeFenceAfterMs: 10 });
        await failing.hasFired(2);
        await fixture.run("delete from waybill_outbox where id = 1");
        await relay.seen("relay.rowMissing", { when: ({ sequence }) => sequence === 1n });
        await relay.hasPublished(1);
        expect(relay.sequences()).toEqual([2]);
        await fixture.isSaved(2);
      });
    });

    describe("too many open ranges", () => {
      it("stop what is new from being read until some of them end", async ({ fixture }) => {
        const startFull = fixture.start();
        await startFull.seen("relay.batchApplied");
        await startFull.stop();
        // 100 000 holes of one id each, all burned.
        await fixture.run({
          postgres: "select setval('waybill_outbox_id_seq', 300000)",
          mysql: "alter table waybill_outbox auto_increment = 300001",
        });
        await fixture.run({
          postgres: `update waybill_subscription
                 set last_id = 300000,
                     hole_lo = (select array_agg(n * 2) from generate_series(1, 100000) n),
                     hole_hi = (select array_agg(n * 2) from generate_series(1, 100000) n)`,
          mysql: "update waybill_subscription set last_id = 300000, holes = concat('[2,1', repeat(',1,1', 99999), ']')",
        });
        const [fresh] = await fixture.append(row("k"));
        const relay = fixture.start({ holeFenceAfterMs: 10 });
        const full = await relay.seen("relay.rangesFull");
        expect(full.ranges).toBeGreaterThanOrEqual(100_000);
        expect(relay.relay.health()).toMatchObject({ isFull: true, isCaughtUp: false });
        await relay.hasPublished(1, 50_000);
        const names = relay.events.map(({ name }) => name);
        // Proved dead, or ended by rows of ours.
        const ended = server.dialect === "postgres" ? "relay.holesForgotten" : "relay.fenced";
        expect(names).toContain(ended);
        expect(names.indexOf(ended)).toBeLessThan(names.indexOf("relay.publishing"));
        expect(relay.sequences()).toEqual([fresh]);
        await waitUntil(() => !relay.relay.health().isFull, { what: "there is room" });
        await fixture.isSaved(Number(fresh));
      });
    });
  }),
);
