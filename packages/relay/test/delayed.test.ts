import { catalogue, systemClock as clock, message } from "@waybill/core";
import { append, cancel } from "@waybill/outbox";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture } from "./relay-fixture.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes", key: ({ n }) => `k${n % 3}` }),
});
type Options = Parameters<typeof append>[2];

await forEachDatabase((server) =>
  describe(`delayed messages and a relay, on ${server.name}`, () => {
    const it = itOn(server);

    const store = async (fixture: RelayFixture, numbers: readonly number[], options: Options): Promise<readonly string[]> => {
      const client = await fixture.client();
      await client.run("begin");
      const ids = await append(
        client.handle,
        numbers.map((n) => shop.note({ n })),
        options,
      );
      await client.run("commit");
      return ids;
    };
    const numbersOf = (payloads: readonly (Uint8Array | null)[]): readonly number[] =>
      payloads.map((payload) => (JSON.parse(Buffer.from(payload ?? []).toString("utf8")) as { n: number }).n);

    it("a message is published within a second of being due, and not before", async ({ fixture }) => {
      const started = fixture.start();
      await started.seen("relay.leaseAcquired");
      await store(fixture, [1], { delayMs: 0 });
      const fromMs = clock.monotonicMs();
      await store(fixture, [2], { delayMs: 1_500 });
      await started.hasPublished(2);
      const moved = started.eventsOf("relay.delayedMoved");
      expect(moved.map(({ messages }) => messages)).toEqual([1, 1]);
      for (const { lateMs } of moved) expect(lateMs).toBeLessThan(1_000);
      expect(numbersOf(started.transport.received.map(({ payload }) => payload))).toEqual([1, 2]);
      expect(clock.monotonicMs() - fromMs).toBeGreaterThanOrEqual(1_500);
      // The time of a message is when it entered the ledger, not when it was appended.
      const [row] = await fixture.run({
        postgres: "select extract(epoch from clock_timestamp()) * 1000 as now",
        mysql: "select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 as now",
      });
      const second = started.transport.received[1]?.createdAtMs ?? 0;
      expect(Number(row?.["now"]) - second).toBeLessThan(clock.monotonicMs() - fromMs - 1_400);
    });

    it("a message that is due at once is moved at once if the relay is woken", async ({ fixture }) => {
      // The wait until the next look never ends by itself.
      let looksWaitedFor = 0;
      const started = fixture.start({
        clock: {
          ...clock,
          setTimer(afterMs, callback) {
            if (afterMs !== 500) return clock.setTimer(afterMs, callback);
            looksWaitedFor += 1;
            return { cancel: () => undefined };
          },
        },
      });
      await started.seen("relay.leaseAcquired");
      for (let n = 1; n <= 3; n += 1) {
        await waitUntil(() => looksWaitedFor >= n, { what: "the relay waits for its next look" });
        await store(fixture, [n], { delayMs: 0 });
        started.relay.wake();
        await started.hasPublished(n);
      }
    });

    it("two subscriptions move side by side, and each message is in the ledger once", async ({ fixture }) => {
      const relays = [fixture.start({ subscription: "one" }), fixture.start({ subscription: "two" })];
      for (const { seen } of relays) await seen("relay.leaseAcquired");
      for (let round = 0; round < 10; round += 1)
        await store(
          fixture,
          Array.from({ length: 20 }, (_, n) => n),
          { delayMs: 100 * (round % 3) },
        );
      for (const relay of relays) await relay.hasPublished(200);
      const [row] = await fixture.run("select count(*) as count from waybill_outbox");
      expect(Number(row?.["count"])).toBe(200);
      const moved = relays.flatMap(({ eventsOf }) => eventsOf("relay.delayedMoved")).reduce((sum, { messages }) => sum + messages, 0);
      expect(moved).toBe(200);
    });

    it("whoever cancels while relays move is told the truth: cancelled and never published, or too late and published", {
      timeout: 60_000,
    }, async ({ fixture }) => {
      const relays = [fixture.start({ subscription: "one" }), fixture.start({ subscription: "two" })];
      for (const { seen } of relays) await seen("relay.leaseAcquired");
      const client = await fixture.client();
      const cancelled = new Set<string>();
      const published = new Set<string>();
      const counts = { cancelled: 0, tooLate: 0 };
      for (let round = 0; round < 200 && (round < 30 || counts.cancelled < 5 || counts.tooLate < 5); round += 1) {
        const ids = await store(fixture, [round, round + 1, round + 2], { delayMs: 40 });
        for (const id of ids) {
          await client.run("begin");
          const isCancelled = await cancel(client.handle, id);
          await client.run(round % 5 === 4 ? "rollback" : "commit");
          (isCancelled && round % 5 !== 4 ? cancelled : published).add(id);
          counts[isCancelled ? "cancelled" : "tooLate"] += 1;
          // The next round's cancels come later against the mover, until both answers were seen often enough.
          if (round % 3 !== 0)
            await waitUntil(async () => (await waitingIn(fixture)) < 3, { what: "one was moved", deadlineMs: 1_000 }).catch(
              () => undefined,
            );
        }
      }
      await waitUntil(async () => (await waitingIn(fixture)) === 0, { what: "all that waits was moved" });
      const [first] = relays;
      await first?.hasPublished(published.size);
      expect(new Set(first?.transport.received.map(({ id }) => id))).toEqual(published);
      expect([...cancelled].filter((id) => published.has(id))).toEqual([]);
      expect(Math.min(counts.cancelled, counts.tooLate)).toBeGreaterThanOrEqual(5);
    });

    const waitingIn = async (fixture: RelayFixture): Promise<number> =>
      Number((await fixture.run("select count(*) as count from waybill_outbox_delayed"))[0]?.["count"]);

    it("a delayed message waits for a transaction that holds its key, and is published behind its messages; how late it is shows", async ({
      fixture,
    }) => {
      const started = fixture.start();
      await started.seen("relay.leaseAcquired");
      const client = await fixture.client();
      await client.run("begin");
      await append(client.handle, shop.note({ n: 3 }), { serialiseKey: true });
      await store(fixture, [0, 1], { delayMs: 0 }); // of key k0, which is held, and of k1
      await started.hasPublished(1);
      await waitUntil(() => started.relay.health().delayedDueMs > 500, { what: "health says how long it has been due" });
      await client.run("commit");
      await started.hasPublished(3);
      expect(numbersOf(started.transport.received.map(({ payload }) => payload))).toEqual([1, 3, 0]);
      await waitUntil(() => started.relay.health().delayedDueMs === 0, { what: "nothing is due any more" });
    });
  }),
);
