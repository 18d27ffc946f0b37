import { type DeliveryEvent, type OutgoingMessage, systemClock, type Transport, wait } from "@waybill/core";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type DeliveryLoop, type DeliveryLoopOptions, deliveryLoop } from "../src/delivery/loop.ts";
import type { DeliveryPolicy } from "../src/delivery-schedule.ts";
import { type DeliveryFixture, deliveryFixture, usualPolicy } from "./delivery-fixture.ts";

const always = Number.POSITIVE_INFINITY;
/** Messages of one key go one by one. */
const keyLength = process.env.WAYBILL_TEST_ALL === "1" ? 200 : 60;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: DeliveryFixture;
    const stops: (() => Promise<void>)[] = [];
    beforeAll(async () => {
      fixture = await deliveryFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterEach(async () => {
      for (const stop of stops.splice(0)) await stop();
      fixture.policies.clear();
    });
    afterAll(() => fixture.close());

    interface Started {
      readonly loop: DeliveryLoop;
      readonly events: DeliveryEvent[];
      stop(): Promise<void>;
    }

    function start(
      destinations: Readonly<Record<string, [Transport, Partial<DeliveryPolicy>?]>>,
      options: Partial<DeliveryLoopOptions> = {},
    ): Started {
      const events: DeliveryEvent[] = [];
      const stopping = new AbortController();
      const configured = Object.entries(destinations).map(([name, [transport, policy]]) => ({
        name,
        transport,
        policy: { ...usualPolicy, ...policy },
      }));
      for (const { name, policy } of configured) fixture.policies.set(name, policy);
      const loop = deliveryLoop({
        store: fixture.store,
        database: fixture.database,
        destinations: configured,
        pollMs: 50,
        leaseMs: 5_000,
        destinationGraceMs: 300_000,
        clock: systemClock,
        random: fixture.random,
        onEvent: (event) => events.push(event as DeliveryEvent),
        writeDead: async () => undefined,
        onDead: () => undefined,
        onBacklog: () => undefined,
        notifications: null,
        ...options,
      });
      const running = loop.run(stopping.signal);
      let stopped: Promise<void> | null = null;
      const stop = (): Promise<void> => {
        stopping.abort();
        stopped ??= running;
        return stopped;
      };
      stops.push(stop);
      return { loop, events, stop };
    }

    const open = () => fixture.query("select message_id from waybill_delivery where state in ('pending', 'awaiting_ack')");
    const settled = (what: string) => waitUntil(async () => (await open()).length === 0, { what, deadlineMs: 50_000 });
    const idsOf = (received: readonly OutgoingMessage[], key: string): readonly string[] =>
      received.filter((message) => message.key === key).map(({ id }) => id);

    test("a committed message arrives as it was prepared, with what its consumer must know", async () => {
      const transport = memoryTransport();
      const { loop, events } = start({ kafka: [transport] });
      const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      await fixture.commit([
        { id: "m1", key: "k", type: "shop.paid.v1", headers: { "content-type": "application/json", traceparent: trace }, payload: "{}" },
      ]);
      loop.wake();
      await waitUntil(() => events.some(({ name }) => name === "delivery.recorded"), { what: "it is delivered", deadlineMs: 50_000 });
      const [message] = transport.received;
      expect(message).toMatchObject({ id: "m1", type: "shop.paid.v1", topic: "orders", key: "k", payload: Buffer.from("{}") });
      const headers = Object.fromEntries(message?.headers ?? []);
      expect(headers).toEqual({
        "content-type": "application/json",
        traceparent: trace,
        "ce-source": "/payments",
        "waybill-delivery-id": expect.stringMatching(/^[0-9]+-[0-9a-f]{16}$/),
        "waybill-attempt": "1",
        "waybill-ack": "implicit",
      });
      expect(events.map(({ name }) => name)).toEqual([
        "delivery.claimed",
        "delivery.publishing",
        "delivery.published",
        "delivery.recorded",
      ]);
    });

    test(`H11 two keys × ${keyLength} messages, one attempt failing in the middle: order per key kept, the other key not delayed`, {
      timeout: 120_000,
    }, async () => {
      const transport = memoryTransport();
      const keys = ["a", "b"];
      const ids = (key: string) => Array.from({ length: keyLength }, (_, nth) => `${key}-${String(nth).padStart(3, "0")}`);
      for (let nth = 0; nth < keyLength; nth += 20)
        await fixture.commit(
          keys.flatMap((key) =>
            ids(key)
              .slice(nth, nth + 20)
              .map((id) => ({ id, key })),
          ),
        );
      // The one in the middle fails until the other key is through: if that waited for it, neither would ever be.
      const middle = ids("a")[keyLength / 2];
      const isThrough = () => idsOf(transport.received, "b").length === keyLength;
      transport.inject({ kind: "retry", when: ({ id }) => id === middle && !isThrough(), times: always });
      start({ kafka: [transport, { backoff: { firstMs: 300, maxMs: 300 } }] });
      await settled("all are delivered");
      for (const key of keys) expect(idsOf(transport.received, key)).toEqual(ids(key));
    });

    test("a message that hangs holds its own key only", async () => {
      const transport = memoryTransport();
      transport.inject({ kind: "drop", when: ({ id }) => id === "hangs" });
      const { loop } = start({ kafka: [transport, { publishTimeoutMs: 20_000 }] });
      await fixture.commit([{ id: "first" }]);
      loop.wake();
      await settled("the destination is known to live");
      await fixture.commit([{ id: "hangs", key: "h" }]);
      loop.wake();
      await waitUntil(() => transport.callsUnderWay > 0, { what: "it hangs" });
      const others = Array.from({ length: 20 }, (_, nth) => ({ id: `o${nth}`, key: `k${nth % 3}` }));
      for (const other of others) {
        await fixture.commit([other]);
        loop.wake();
      }
      await waitUntil(() => transport.received.length === 21, { what: "the others arrived" });
      expect(transport.callsUnderWay).toBe(1); // it still hangs
    });

    test("H17 a failing destination is called at the configured rate and no faster, after a restart too", { timeout: 60_000 }, async () => {
      const transport = memoryTransport();
      const calls: { readonly size: number; readonly atMs: number }[] = [];
      const counting: Transport = {
        ...transport,
        publish: (batch, options) => {
          calls.push({ size: batch.length, atMs: performance.now() });
          return transport.publish(batch, options);
        },
      };
      transport.inject({ kind: "retry", scope: "transport", reason: "down", times: always });
      await fixture.commit(Array.from({ length: 300 }, (_, nth) => ({ id: `m${nth}`, key: `k${nth % 150}` })));
      const breaker = { failuresMax: 5, firstMs: 2_000, maxMs: 2_000 };
      const half = { fraction: () => 0.5 };
      for (let restart = 0; restart < 4; restart += 1) {
        const { events, stop } = start({ kafka: [counting, { breaker }] }, { random: half });
        await waitUntil(() => events.some(({ name }) => name === "delivery.recorded"), { what: "a probe is recorded" });
        await stop();
      }
      // One probe with one message for each start.
      expect(calls.map(({ size }) => size)).toEqual([1, 1, 1, 1]);
      const { events } = start({ kafka: [counting, { breaker }] }, { random: half });
      await waitUntil(() => calls.length >= 7, { what: "three more probes are made" });
      const [first, second, third] = calls.slice(4).map(({ atMs }) => atMs) as [number, number, number];
      // No further one before its step of 1 s.
      expect(Math.min(second - first, third - second)).toBeGreaterThan(950);
      expect(new Set(calls.map(({ size }) => size))).toEqual(new Set([1]));
      expect(events.some(({ name }) => name === "delivery.breakerOpened")).toBe(true);
      transport.heal();
      await settled("all are delivered");
      expect(await fixture.query("select 1 from waybill_delivery where attempts <> 1")).toEqual([]);
    });

    test("a message's own failures keep their distance over a restart", async () => {
      const transport = memoryTransport();
      transport.inject({ kind: "retry", scope: "message", times: always });
      await fixture.commit([{ id: "m1", key: "k" }, { id: "m2" }]);
      const backoff = { firstMs: 5_000, maxMs: 5_000 };
      for (let restart = 0; restart < 3; restart += 1) {
        const { stop } = start({ kafka: [transport, { backoff }] });
        await wait(systemClock, 400);
        await stop();
      }
      const states = await fixture.query("select attempts from waybill_delivery");
      expect(states.map(({ attempts }) => attempts)).toEqual([1, 1]);
    });

    test("a destination that is down for long: nothing is charged to its messages, another destination goes on, and all arrive after", async () => {
      const down = memoryTransport();
      const up = memoryTransport();
      down.inject({ kind: "unknown", isStored: false, scope: "transport", times: always });
      const { loop } = start({ kafka: [down, { maxAttempts: 2 }], billing: [up] });
      for (let nth = 0; nth < 30; nth += 1) {
        await fixture.commit([{ id: `m${nth}`, key: `k${nth % 5}`, destinations: ["kafka", "billing"] }]);
        loop.wake();
      }
      await waitUntil(() => up.received.length === 30, { what: "the other destination has all" });
      await waitUntil(() => down.calls >= 5, { what: "the probes failed" });
      down.heal();
      await settled("all are delivered");
      expect(new Set(down.received.map(({ id }) => id)).size).toBe(30);
      for (const key of ["k0", "k1"]) expect(idsOf(down.received, key)).toEqual(idsOf(up.received, key));
      expect(await fixture.query("select 1 from waybill_delivery where attempts <> 1 or state <> 'acked'")).toEqual([]);
    });

    test("what is rejected is dead at once; ten of one reason in a row are a destination's fault", async () => {
      const transport = memoryTransport();
      const { loop, events } = start({ kafka: [transport, { batch: 1 }] });
      await fixture.commit([{ id: "fine" }]);
      loop.wake();
      await settled("one is delivered");
      transport.inject({ kind: "reject", reason: "tooLarge", times: always });
      await fixture.commit(Array.from({ length: 15 }, (_, nth) => ({ id: `r${nth}` })));
      loop.wake();
      await waitUntil(() => events.some(({ name }) => name === "delivery.breakerOpened"), { what: "the brake became a breaker" });
      const dead = (): Promise<readonly Record<string, unknown>[]> =>
        fixture.query("select dead_reason from waybill_delivery where state = 'dead'");
      await waitUntil(async () => (await dead()).length >= 10, { what: "those before it are recorded" });
      expect((await dead()).map(({ dead_reason: reason }) => reason)).toEqual(Array.from({ length: 10 }, () => "rejected"));
      transport.heal();
      await settled("the others are delivered");
      expect(transport.received).toHaveLength(6);
    });

    test("what goes to a destination that is no longer configured is dead after a while", async () => {
      await fixture.commit([
        { id: "m1", key: "k", destinations: ["gone"] },
        { id: "m2", destinations: ["gone"] },
      ]);
      const { events } = start({ kafka: [memoryTransport()] }, { destinationGraceMs: 200 });
      await settled("both are dead");
      const states = await fixture.query("select dead_reason, attempts from waybill_delivery");
      expect(states.map(({ dead_reason: reason, attempts }) => [reason, attempts].join(" "))).toEqual([
        "destination_removed 0",
        "destination_removed 0",
      ]);
      expect(events.filter(({ name }) => name === "delivery.destinationUnknown")).toHaveLength(1);
    });

    test("a destination that only another service knows is not given up while that one tries in vain, however long", async () => {
      const down = memoryTransport();
      down.inject({ kind: "unknown", isStored: false, scope: "transport", times: always });
      const knows = start({ web: [down, { breaker: { failuresMax: 1, firstMs: 50, maxMs: 100 } }] });
      // More than can be tried in the time for which they are waited for: what is not tried is as old as that.
      const destinations = ["web"];
      await fixture.commit(Array.from({ length: 60 }, (_, n) => ({ id: `m${n}`, ...(n % 2 === 0 ? { key: `k${n}` } : {}), destinations })));
      const { events } = start({ kafka: [memoryTransport()] }, { destinationGraceMs: 1_000 });
      const tries = (): number => knows.events.filter(({ name }) => name === "delivery.published").length;
      const fromMs = performance.now();
      await waitUntil(() => performance.now() - fromMs > 2_500 && tries() > 10, { what: "it was tried for longer than it is waited for" });
      expect(events.map(({ name }) => name)).toEqual(["delivery.destinationUnknown"]);
      expect(await open()).toHaveLength(60);
      await knows.stop();
      await settled("nobody tries any more: all are given up");
      expect(events.filter(({ name }) => name === "delivery.dead")).toHaveLength(60);
    });

    test("a transport that throws, miscounts or hangs costs time and nothing else", async () => {
      const transport = memoryTransport();
      transport.inject({ kind: "throw" });
      transport.inject({ kind: "miscount", skip: 1 });
      transport.inject({ kind: "hang", skip: 2 });
      start({ kafka: [transport, { publishTimeoutMs: 200 }] });
      await fixture.commit(Array.from({ length: 10 }, (_, nth) => ({ id: `m${nth}`, key: `k${nth % 3}` })));
      await settled("all are delivered");
      expect(new Set(transport.received.map(({ id }) => id)).size).toBe(10);
    });
  }),
);
