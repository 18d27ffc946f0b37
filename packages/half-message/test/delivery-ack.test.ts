import { type DeliveryEvent, type OutgoingMessage, systemClock, type Transport } from "@waybill/core";
import { committedValue } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deliveryLoop } from "../src/delivery/loop.ts";
import type { DeliveryPolicy } from "../src/delivery-schedule.ts";
import type { ChangedDelivery, ChangeOptions, DeadDelivery } from "../src/delivery-store.ts";
import type { DeliveryWish } from "../src/delivery-wish.ts";
import { type DeliveryFixture, deliveryFixture, usualPolicy } from "./delivery-fixture.ts";

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

    function start(transport: Transport, policy: Partial<DeliveryPolicy> = {}) {
      const events: DeliveryEvent[] = [];
      const dead: DeadDelivery[] = [];
      const stopping = new AbortController();
      const explicit: DeliveryPolicy = { ...usualPolicy, ack: "explicit", ...policy };
      fixture.policies.set("billing", explicit);
      const loop = deliveryLoop({
        store: fixture.store,
        database: fixture.database,
        destinations: [{ name: "billing", transport, policy: explicit }],
        pollMs: 50,
        leaseMs: 5_000,
        destinationGraceMs: 300_000,
        clock: systemClock,
        random: fixture.random,
        onEvent: (event) => events.push(event as DeliveryEvent),
        writeDead: async () => undefined,
        onDead: (gone) => void dead.push(...gone),
        onBacklog: () => undefined,
        notifications: null,
      });
      const running = loop.run(stopping.signal);
      stops.push(async () => {
        stopping.abort();
        await running;
      });
      return { loop, events, dead };
    }

    const wishAll = async (ids: readonly string[], wish: DeliveryWish, options: Partial<ChangeOptions> = {}) => {
      const all: ChangeOptions = {
        actor: "consumer:k",
        reason: null,
        mayTouch: (destination) => destination === "billing",
        policyOf: (destination) => fixture.policies.get(destination) ?? null,
        ...options,
      };
      const wishes = ids.map((deliveryId) => ({ deliveryId, wish }));
      return committedValue(
        "wish",
        await fixture.database.unitOfWork((tx) => fixture.store.change(tx, wishes, all), { operation: "wish" }),
      );
    };
    const wish = async (id: string, wanted: DeliveryWish, options: Partial<ChangeOptions> = {}): Promise<ChangedDelivery | null> =>
      (await wishAll([id], wanted, options))[0] ?? null;
    const idOf = (message: OutgoingMessage | undefined): string => message?.headers.get("waybill-delivery-id") ?? "";
    const to = (...messages: { readonly id: string; readonly key?: string }[]) =>
      fixture.commit(messages.map((message) => ({ ...message, destinations: ["billing"] })));
    const states = async (): Promise<readonly string[]> => {
      const rows = await fixture.query("select message_id, state, dead_reason from waybill_delivery order by seq");
      return rows.map(({ message_id: id, state, dead_reason: reason }) => [id, state, ...(reason === null ? [] : [reason])].join(" "));
    };
    const noted = (count: number) =>
      waitUntil(async () => (await states()).filter((state) => state.includes("awaiting_ack")).length === count, {
        what: `${count} wait for an ack`,
      });

    test("a delivery with an explicit acknowledgement is done when its consumer says so, and an acknowledgement is good for ever", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport);
      await to({ id: "m1", key: "a" }, { id: "m2" });
      loop.wake();
      await noted(2);
      expect(Object.fromEntries(transport.received[0]?.headers ?? [])).toMatchObject({
        "waybill-ack": "explicit",
        "waybill-ack-deadline-ms": "30000",
      });
      const [first = ""] = transport.received.map(idOf);
      expect(await wish(first, { kind: "ack" })).toEqual({ deliveryId: first, state: "acked", isApplied: true, isLate: false, dead: null });
      expect(await wish(first, { kind: "ack" })).toMatchObject({ state: "acked", isApplied: false });
      expect(await wish(first, { kind: "nack", attempt: 1, retryAfterMs: 0, isPermanent: true, reason: null })).toMatchObject({
        state: "acked",
        isApplied: false,
      });
      expect(await fixture.query("select acked_by from waybill_delivery where state = 'acked'")).toEqual([{ acked_by: "consumer:k" }]);
      expect(transport.received).toHaveLength(2);
    });

    test("nobody acknowledges another's delivery, or one that he must guess", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport);
      await to({ id: "m1" });
      loop.wake();
      await noted(1);
      const id = idOf(transport.received[0]);
      const [seq] = id.split("-");
      expect(await wish(id, { kind: "ack" }, { mayTouch: () => false })).toBeNull();
      for (const guess of [`${seq}-0000000000000001`, "999999999-0000000000000001", "x", "9999999999999999999-0000000000000001", seq ?? ""])
        expect(await wish(guess, { kind: "ack" })).toBeNull();
      expect(await states()).toEqual(["m1 awaiting_ack"]);
    });

    test("an acknowledgement that comes before the publish was noted wins", async () => {
      const answers: Promise<ChangedDelivery | null>[] = [];
      const transport = memoryTransport({ onReceived: (message) => void answers.push(wish(idOf(message), { kind: "ack" })) });
      const slow: Transport = {
        ...transport,
        async publish(batch, options) {
          const outcomes = await transport.publish(batch, options);
          await Promise.all(answers);
          return outcomes;
        },
      };
      const { loop, events } = start(slow);
      await to({ id: "a1", key: "a" }, { id: "a2", key: "a" }, { id: "n1" });
      loop.wake();
      await waitUntil(async () => (await states()).every((state) => state.endsWith(" acked")), { what: "all are acked" });
      expect((await Promise.all(answers)).map((answer) => answer?.isApplied)).toEqual([true, true, true]);
      await waitUntil(async () => (await fixture.query("select 1 from waybill_delivery_lane")).length === 0, { what: "no lane is left" });
      expect(events.some((event) => event.name === "delivery.recorded" && event.lost > 0)).toBe(true);
      expect(transport.received).toHaveLength(3);
    });

    test("a nack comes again at its time, to be acknowledged then; an older attempt's nack changes nothing", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport);
      await to({ id: "m1", key: "a" });
      loop.wake();
      await noted(1);
      const id = idOf(transport.received[0]);
      const nack: DeliveryWish = { kind: "nack", attempt: 1, retryAfterMs: 300, isPermanent: false, reason: "no stock yet" };
      const nackedMs = performance.now();
      expect(await wish(id, nack)).toMatchObject({ state: "pending", isApplied: true });
      expect(await wish(id, nack)).toMatchObject({ state: "pending", isApplied: false });
      loop.wake();
      await waitUntil(() => transport.received.length === 2, { what: "it came again" });
      expect(performance.now() - nackedMs).toBeGreaterThan(290);
      await noted(1);
      expect(await wish(id, nack)).toMatchObject({ state: "awaiting_ack", isApplied: false });
      expect(await fixture.query("select attempts, redeliveries from waybill_delivery")).toMatchObject([{ attempts: 2, redeliveries: 1 }]);
      expect(await wish(id, { kind: "ack" })).toMatchObject({ state: "acked", isApplied: true });
    });

    test("nack permanent: dead at once, and who listens writes in the same transaction", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport);
      await to({ id: "m1" });
      loop.wake();
      await noted(1);
      const dead: DeadDelivery[] = [];
      const options: Partial<ChangeOptions> = { writeDead: async (_tx, gone) => void dead.push(...gone) };
      const nack: DeliveryWish = { kind: "nack", attempt: 1, retryAfterMs: null, isPermanent: true, reason: "no such customer" };
      expect(await wish(idOf(transport.received[0]), nack, options)).toMatchObject({
        state: "dead",
        dead: { destination: "billing", reason: "nacked" },
      });
      expect(dead).toMatchObject([{ messageId: "m1", halfMessageId: "m1", attempts: 1, reason: "nacked", actor: "consumer:k" }]);
      expect(await states()).toEqual(["m1 dead nacked"]);
      expect(await fixture.query("select last_error from waybill_delivery")).toEqual([{ last_error: "no such customer" }]);
    });

    test("keyOrder ack: the next of a key goes after the acknowledgement, or when the one before is dead", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport, { keyOrder: "ack", ackDeadlineMs: 10_000 });
      await to({ id: "a1", key: "a" }, { id: "a2", key: "a" }, { id: "a3", key: "a" }, { id: "b1", key: "b" });
      loop.wake();
      await noted(2);
      expect(transport.received.map(({ id }) => id).toSorted()).toEqual(["a1", "b1"]);
      const idFor = (id: string) => idOf(transport.received.findLast((message) => message.id === id));
      await wish(idFor("a1"), { kind: "nack", attempt: 1, retryAfterMs: 200, isPermanent: false, reason: null });
      loop.wake();
      await waitUntil(() => transport.received.length === 3, { what: "the first came again" });
      expect(transport.received[2]?.id).toBe("a1");
      await noted(2);
      await wish(idFor("a1"), { kind: "ack" });
      loop.wake();
      await waitUntil(() => transport.received.length === 4, { what: "the second came" });
      await noted(2);
      await wish(idFor("a2"), { kind: "nack", attempt: 1, retryAfterMs: null, isPermanent: true, reason: null });
      loop.wake();
      await waitUntil(() => transport.received.length === 5, { what: "the third came" });
      expect(transport.received.map(({ id }) => id).filter((id) => id.startsWith("a"))).toEqual(["a1", "a1", "a2", "a3"]);
      await noted(2);
      await wish(idFor("a3"), { kind: "ack" });
      await wish(idFor("b1"), { kind: "ack" });
      expect(await fixture.query("select 1 from waybill_delivery_lane")).toEqual([]);
    });

    test("a consumer that needs longer extends, with and without a lane", async () => {
      const transport = memoryTransport();
      const { loop } = start(transport, { keyOrder: "ack", ackDeadlineMs: 1_000 });
      await to({ id: "m1", key: "a" }, { id: "m2" });
      loop.wake();
      await noted(2);
      const fromMs = performance.now();
      for (const message of transport.received)
        expect(await wish(idOf(message), { kind: "extend", forMs: 2_000 })).toMatchObject({ isApplied: true });
      await waitUntil(() => transport.received.length > 2, { what: "the deadline passed" });
      expect(performance.now() - fromMs).toBeGreaterThan(1_900);
    });

    test("an operator redrives what is dead under the same id, gives up what is open, and acknowledges by force; all is in the log", async () => {
      const transport = memoryTransport();
      transport.inject({ kind: "reject", times: 3 });
      const { loop } = start(transport);
      await to({ id: "a1", key: "a" }, { id: "a2", key: "a" }, { id: "n1" });
      loop.wake();
      await waitUntil(async () => (await states()).every((state) => state.endsWith("dead rejected")), { what: "all are dead" });
      const dead = await fixture.store.findDead(fixture.database, "billing", 10);
      expect(dead).toHaveLength(3);
      const operator: Partial<ChangeOptions> = { actor: "operator:o", reason: "fixed the size limit", mayTouch: () => true };
      const redriven = await wishAll(dead, { kind: "redrive", afterMs: 0 }, operator);
      expect(redriven.map((one) => one?.state)).toEqual(["pending", "pending", "pending"]);
      loop.wake();
      await noted(3);
      expect(transport.received.map(({ id }) => id).filter((id) => id.startsWith("a"))).toEqual(["a1", "a2"]);
      expect(await fixture.query("select attempts from waybill_delivery")).toMatchObject([
        { attempts: 1 },
        { attempts: 1 },
        { attempts: 1 },
      ]);
      const [first = "", second = ""] = dead;
      expect(await wish(first, { kind: "giveUp" }, operator)).toMatchObject({ state: "dead" });
      expect(await wish(second, { kind: "forceAck" }, operator)).toMatchObject({ state: "acked" });
      const entries = await fixture.query("select event, from_state, to_state, actor, reason from waybill_decision_log order by seq");
      expect(entries.map(({ event, from_state: from, to_state: then, actor }) => [event, from, then, actor].join(" "))).toEqual([
        "redriven dead pending operator:o",
        "redriven dead pending operator:o",
        "redriven dead pending operator:o",
        "given_up awaiting_ack dead operator:o",
        "force_acked awaiting_ack acked operator:o",
      ]);
      const shown = await fixture.store.search(fixture.database, { destination: "billing", state: "dead", afterSeq: "0", limit: 10 });
      expect(shown).toMatchObject([{ deliveryId: first, state: "dead", deadReason: "given_up", attempts: 1, ackMode: "explicit" }]);
    });
  }),
);
