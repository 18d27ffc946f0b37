/** Two at once about one delivery, and neighbours of what waits: nothing is stuck, lost, buried or starved. */
import { type DeliveryEvent, systemClock, wait } from "@waybill/core";
import { committedValue } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deliveryLoop } from "../src/delivery/loop.ts";
import type { Claim, ClaimedDelivery, DeliveryResult } from "../src/delivery-store.ts";
import { createPurge } from "../src/purge.ts";
import { type DeliveryFixture, deliveryFixture, usualPolicy } from "./delivery-fixture.ts";

/** Long enough for a statement to come to the lock that the other holds; if it is not, the race is not run, and nothing fails. */
const raceMs = 400;
const operator = { actor: "operator:x", reason: "r", mayTouch: () => true, policyOf: () => null };
const redrive = { kind: "redrive", afterMs: 0 } as const;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: DeliveryFixture;
    beforeAll(async () => {
      fixture = await deliveryFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const claimSome = (limit = 10): Promise<Claim> =>
      fixture.store.claim(fixture.database, { destination: "kafka", limit, leaseMs: 2_000, heldMs: 100 });
    const resultOf = (delivery: ClaimedDelivery, next: DeliveryResult["next"]): DeliveryResult => {
      const outcome = next.kind === "acked" ? "confirmed" : "rejected";
      return { delivery, next, outcome, error: null, status: null, isLogged: true, beganAgoMs: 1, tookMs: 1 };
    };
    const dead = { kind: "dead", reason: "rejected" } as const;
    const run = (destinations: readonly string[], destinationGraceMs: number) => {
      const events: DeliveryEvent[] = [];
      const stopping = new AbortController();
      const loop = deliveryLoop({
        store: fixture.store,
        database: fixture.database,
        destinations: destinations.map((name) => ({ name, transport: memoryTransport(), policy: usualPolicy })),
        pollMs: 50,
        leaseMs: 5_000,
        destinationGraceMs,
        clock: systemClock,
        random: fixture.random,
        onEvent: (event) => events.push(event as DeliveryEvent),
        writeDead: async () => undefined,
        onDead: () => undefined,
        onBacklog: () => undefined,
        notifications: null,
      });
      const running = loop.run(stopping.signal);
      const stop = async (): Promise<void> => {
        stopping.abort();
        await running;
      };
      return { loop, events, stop };
    };
    const count = async (condition: string): Promise<number> =>
      (await fixture.query(`select 1 as found from waybill_delivery where ${condition}`)).length;

    test("a redrive that meets the death of its delivery leaves no open row without a lane", async () => {
      await fixture.commit([{ id: "a1", key: "a" }]);
      const claim = await claimSome();
      const [delivery] = claim.deliveries as readonly [ClaimedDelivery];
      let redriven: Promise<unknown> = Promise.resolve();
      await fixture.store.record(fixture.database, claim, [resultOf(delivery, dead)], async () => {
        redriven = fixture.database
          .unitOfWork((tx) => fixture.store.change(tx, [{ deliveryId: delivery.deliveryId, wish: redrive }], operator), {
            operation: "redrive",
          })
          .then((outcome) => committedValue("redrive", outcome));
        await wait(systemClock, raceMs);
      });
      await redriven;
      if ((await count("state = 'dead'")) === 1) return;
      let next: readonly ClaimedDelivery[] = [];
      await waitUntil(
        async () => {
          next = (await claimSome()).deliveries;
          return next.length > 0;
        },
        { what: "its next claim", deadlineMs: 60_000 },
      );
      expect(next.map(({ messageId }) => messageId)).toEqual(["a1"]);
    });

    test("a delivery that is redriven while the purge looks at it stays", async () => {
      await fixture.commit([{ id: "a1", key: "a" }]);
      const claim = await claimSome();
      const [delivery] = claim.deliveries as readonly [ClaimedDelivery];
      await fixture.store.record(fixture.database, claim, [resultOf(delivery, dead)]);
      const purge = createPurge({
        rules: { clock: systemClock, onEvent: undefined, purgeEveryMs: 50, tombstoneMs: 60_000, deadRetentionMs: 1, logRetentionMs: 1e10 },
        database: fixture.database,
        space: fixture.space,
      });
      let purging: Promise<unknown> = Promise.resolve();
      const redriving = async (): Promise<void> => {
        const outcome = await fixture.database.unitOfWork(
          async (tx) => {
            await fixture.store.change(tx, [{ deliveryId: delivery.deliveryId, wish: redrive }], operator);
            purging = purge.step();
            await wait(systemClock, raceMs);
          },
          { operation: "redrive" },
        );
        committedValue("redrive", outcome);
      };
      await redriving();
      await purging;
      expect(await count("state = 'pending'")).toBe(1);
    });

    test("keys that wait for an earlier prepare do not delay another key", async () => {
      for (let nth = 0; nth < 8; nth += 1) {
        await fixture.prepare({ id: `p${nth}`, key: `k${nth}`, orderKey: `k${nth}` });
        await fixture.commit([{ id: `q${nth}`, key: `k${nth}`, orderKey: `k${nth}` }]);
      }
      await fixture.commit([{ id: "healthy", key: "h" }]);
      const { stop } = run(["kafka"], 300_000);
      const startedMs = performance.now();
      await waitUntil(async () => (await count("message_id = 'healthy' and state = 'acked'")) === 1, {
        what: "healthy",
        deadlineMs: 60_000,
      });
      const tookMs = performance.now() - startedMs;
      await stop();
      // Held keys are looked at again every five seconds; one of them at a time would take as often as long.
      expect(tookMs).toBeLessThan(25_000);
    });

    test("a service that does not know a destination kills nothing that another one brings", async () => {
      const knows = run(["kafka"], 500);
      const doesNot = run([], 500);
      for (let nth = 0; nth < 60; nth += 1) {
        await fixture.commit([{ id: `m${nth}`, key: `k${nth}` }]);
        knows.loop.wake();
        doesNot.loop.wake();
        await waitUntil(async () => (await count(`message_id = 'm${nth}' and state <> 'pending'`)) === 1, {
          what: "its end",
          deadlineMs: 60_000,
        });
      }
      await knows.stop();
      await doesNot.stop();
      expect([await count("state = 'acked'"), await count("state = 'dead'")]).toEqual([60, 0]);
    });

    test("a message without a key is not passed over while there is more of keys than a claim takes", async () => {
      await fixture.commit([{ id: "n1" }]);
      await fixture.commit(["a", "b", "c"].flatMap((key) => Array.from({ length: 20 }, (_, nth) => ({ id: `${key}${nth}`, key }))));
      let claims = 0;
      for (let isFound = false; !isFound && claims < 100; claims += 1) {
        const claim = await claimSome(2);
        isFound = claim.deliveries.some(({ messageId }) => messageId === "n1");
        await fixture.store.record(
          fixture.database,
          claim,
          claim.deliveries.map((delivery) => resultOf(delivery, { kind: "acked" })),
        );
      }
      expect(claims).toBeLessThan(10);
    });
  }),
);
