import type { Source } from "@waybill/core";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAcknowledger, type HalfMessageServiceOptions } from "../src/index.ts";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica, secrets } from "./half-message-fixture.ts";

const quick = { pollMs: 50, leaseMs: 2_000 };
const always = Number.POSITIVE_INFINITY;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    afterAll(() => fixture.close());

    interface Shown {
      readonly deliveryId: string;
      readonly state: string;
      readonly attempts: number;
      readonly lastError: string | null;
      readonly deadReason: string | null;
    }
    const deliveriesOf = async (replica: Replica, id: string): Promise<readonly Shown[]> =>
      (await replica.show(id)).body.deliveries as Shown[];
    const progress = (replica: Replica, id: string, wanted: string) =>
      waitUntil(async () => (await replica.show(id)).body.progress === wanted, {
        what: `${id} is ${wanted}`,
        intervalMs: 30,
        deadlineMs: 60_000,
      });
    /** A service with a destination that its consumer, billing, acknowledges. */
    const explicit = (more: Partial<HalfMessageServiceOptions["destinations"][string]> = {}) => {
      const transport = memoryTransport();
      const options: Partial<HalfMessageServiceOptions> = {
        ...quick,
        destinations: { billing: { transport, ack: "explicit", consumer: "billing", ...more } },
        routes: { payments: ["billing"] },
      };
      return { transport, options };
    };
    const asConsumer = (replica: Replica, path: string, body: unknown = {}, key: string | null = "billing-1") =>
      replica.call("POST", `/v1/consumers/billing/deliveries${path}`, body, { key });
    const idOf = (received: readonly { readonly headers: ReadonlyMap<string, string> }[], nth = 0) =>
      received[nth]?.headers.get("waybill-delivery-id") ?? "";

    test("H10 delayMs 2 000 → nothing before decision + 2 s; rolled back → never anything", async () => {
      const transport = memoryTransport();
      const replica = await fixture.replica({ ...quick, destinations: { kafka: { transport } } });
      const delayed = { messages: [message({ delayMs: 2_000 })] };
      await replica.prepare("delayed", delayed);
      await replica.prepare("gone", delayed);
      const decidedMs = performance.now();
      await replica.commit("delayed");
      await replica.rollback("gone");
      await waitUntil(() => transport.received.length > 0, { what: "it arrives" });
      expect(performance.now() - decidedMs).toBeGreaterThanOrEqual(1_990);
      await progress(replica, "delayed", "done");
      expect(transport.received.map(({ id }) => id)).toEqual(["delayed"]);
      await replica.stop();
    });

    test("H16 100 deliveries of one half message acked in parallel → all acked, no deadlock surfaces, progress done", {
      timeout: 60_000,
    }, async () => {
      const { transport, options } = explicit();
      const replica = await fixture.replica(options);
      const messages = Array.from({ length: 100 }, (_, nth) =>
        message({ id: `many-${nth}`, key: nth % 2 === 0 ? `k${nth % 10}` : `own-${nth}` }),
      );
      await replica.prepare("many", { messages });
      await replica.commit("many");
      await waitUntil(() => transport.received.length === 100, { what: "all were published", deadlineMs: 30_000 });
      const ids = transport.received.map((_, nth) => idOf(transport.received, nth));
      const answers = await Promise.all(ids.map((id) => asConsumer(replica, `/${id}/ack`)));
      expect(answers.map(({ status, body }) => `${status} ${String(body.state)}`)).toEqual(ids.map(() => "200 acked"));
      await progress(replica, "many", "done");
      const again = await asConsumer(replica, ":ack", { deliveryIds: [...ids.slice(0, 3), "1-0000000000000000"] });
      expect(again.body.results).toEqual([
        ...ids.slice(0, 3).map((deliveryId) => ({ deliveryId, state: "acked", applied: false })),
        { deliveryId: "1-0000000000000000", state: null, applied: false, code: "unknown_delivery" },
      ]);
      await replica.stop();
    });

    test("H20 maxAttempts 3 → three attempts with growing gaps, then dead; attempts and last error visible", async () => {
      const transport = memoryTransport();
      transport.inject({ kind: "retry", reason: "refused", times: always });
      const kafka = { transport, maxAttempts: 3, backoff: { firstMs: 200, maxMs: 5_000 } };
      const replica = await fixture.replica({ ...quick, destinations: { kafka } });
      await replica.prepare("three");
      await replica.commit("three");
      await progress(replica, "three", "has_dead");
      expect(await deliveriesOf(replica, "three")).toMatchObject([
        { state: "dead", attempts: 3, lastError: "memory: refused", deadReason: "attempts_exhausted" },
      ]);
      const gaps = await fixture.rows("select started_at from waybill_delivery_attempt order by attempt");
      expect(gaps).toHaveLength(3);
      const log = (await replica.show("three")).body.log as { event: string; actor: string; reason: string }[];
      expect(log.at(-1)).toMatchObject({ event: "dead", actor: "service", reason: "attempts_exhausted" });
      expect(replica.alerts).toMatchObject([{ kind: "delivery_dead", subject: "kafka" }]);
      const operator = { key: "operator-1", at: "admin" } as const;
      const dry = await replica.call(
        "POST",
        "/admin/v1/deliveries:redrive",
        { destination: "kafka", dryRun: true, reason: "why" },
        operator,
      );
      expect(dry.body).toEqual({ deliveries: 1, dryRun: true });
      transport.heal();
      const redriven = await replica.call("POST", "/admin/v1/deliveries:redrive", { destination: "kafka", reason: "it is back" }, operator);
      expect(redriven.body).toEqual({ deliveries: 1, dryRun: false });
      await progress(replica, "three", "done");
      expect(transport.received.map(({ id }) => id)).toEqual(["three"]);
      const listed = await replica.call("GET", "/admin/v1/deliveries?destination=kafka&state=acked", undefined, operator);
      expect((listed.body.items as Shown[]).map(({ state }) => state)).toContain("acked");
      await replica.stop();
    });

    test("H24 nack permanent → dead at once, alert, dead notice if configured; a dead notice makes no notice", async () => {
      const { transport, options } = explicit();
      const notices = memoryTransport();
      const replica = await fixture.replica({
        ...options,
        destinations: { ...options.destinations, notices: { transport: notices } },
        producers: { payments: { check: { via: "pull" }, deadNotice: "notices" }, orders: { check: { via: "pull" } } },
      });
      await replica.prepare("refused");
      await replica.commit("refused");
      await waitUntil(async () => (await deliveriesOf(replica, "refused"))[0]?.state === "awaiting_ack", { what: "it was published" });
      const id = idOf(transport.received);
      const nacked = await asConsumer(replica, `/${id}/nack`, { attempt: 1, permanent: true, reason: "no such customer" });
      expect(nacked).toMatchObject({ status: 200, body: { deliveryId: id, state: "dead", applied: true } });
      expect(replica.alerts).toMatchObject([{ kind: "delivery_dead", subject: "billing" }]);
      await waitUntil(() => notices.received.length === 1, { what: "the producer is told" });
      const [notice] = notices.received;
      expect(notice).toMatchObject({ type: "waybill.delivery.dead.v1", key: null });
      expect(JSON.parse(Buffer.from(notice?.payload ?? []).toString())).toEqual({
        producer: "payments",
        halfMessageId: "refused",
        messageId: "refused",
        deliveryId: id,
        destination: "billing",
        receiver: null,
        attempts: 1,
        reason: "nacked",
      });
      const operator = { key: "operator-1", at: "admin" } as const;
      const [own] = (await replica.call("GET", "/admin/v1/deliveries?destination=notices", undefined, operator)).body.items as Shown[];
      await replica.stop();
      expect(own?.state).toBeDefined();

      const rejecting = memoryTransport();
      rejecting.inject({ kind: "reject", times: always });
      const next = await fixture.replica({
        ...options,
        destinations: { ...options.destinations, notices: { transport: rejecting } },
        producers: { payments: { check: { via: "pull" }, deadNotice: "notices" }, orders: { check: { via: "pull" } } },
      });
      await next.prepare("refused-2");
      await next.commit("refused-2");
      await waitUntil(async () => (await deliveriesOf(next, "refused-2"))[0]?.state === "awaiting_ack", { what: "it was published" });
      await asConsumer(next, `/${idOf(transport.received, 1)}/nack`, { attempt: 1, permanent: true });
      await waitUntil(async () => (await fixture.count("delivery", "destination = 'notices' and state = 'dead'")) === 1, {
        what: "the notice is dead",
      });
      expect(await fixture.count("delivery", "destination = 'notices'")).toBe(2);
      await next.stop();
    });

    test("H36 Consumer handled it, ack lost, redelivered → one effect, ack repeated, acked", async () => {
      const { transport, options } = explicit({ ackDeadlineMs: 300 });
      const effects = new Set<string>();
      const replica = await fixture.replica(options);
      await replica.prepare("once");
      await replica.commit("once");
      await waitUntil(() => transport.received.length === 2, { what: "it came again" });
      for (const { id } of transport.received) effects.add(id);
      expect(effects.size).toBe(1);
      expect(idOf(transport.received, 0)).toBe(idOf(transport.received, 1));
      expect((await asConsumer(replica, `/${idOf(transport.received)}/ack`)).body).toMatchObject({ state: "acked", applied: true });
      expect((await asConsumer(replica, `/${idOf(transport.received)}/ack`)).body).toMatchObject({ state: "acked", applied: false });
      await progress(replica, "once", "done");
      await replica.stop();
    });

    test("an acknowledger around a source acks what was handled over the wire, in joined calls, and a nack brings it again", async () => {
      const { transport, options } = explicit();
      const replica = await fixture.replica(options);
      const service = { url: `http://127.0.0.1:${replica.ports.public}`, key: { id: "billing-1", secret: secrets["billing-1"] } };
      const acknowledger = createAcknowledger({ consumer: "billing", service });
      const messages = Array.from({ length: 10 }, (_, nth) => message({ id: `around-${nth}`, key: `k${nth}` }));
      await replica.prepare("around", { messages });
      await replica.commit("around");
      await waitUntil(() => transport.received.length === 10, { what: "all were published" });
      const source: Source = {
        consume: async (handle) => void (await handle(transport.received.map((received) => ({ message: received, redelivered: null })))),
      };
      const signal = new AbortController().signal;
      await acknowledger.around(source).consume((batch) => Promise.resolve(batch.map(() => ({ kind: "done" }))), { signal });
      await progress(replica, "around", "done");
      await replica.prepare("refused-once");
      await replica.commit("refused-once");
      await waitUntil(async () => (await deliveriesOf(replica, "refused-once"))[0]?.state === "awaiting_ack", { what: "it was published" });
      const id = idOf(transport.received, 10);
      expect(await acknowledger.extend(id, 20_000)).toBe(true);
      expect(await acknowledger.nack(id, { attempt: 1, retryAfterMs: 0, reason: "not yet" })).toBe(true);
      await waitUntil(() => transport.received.length === 12, { what: "it came again" });
      expect(await acknowledger.ack(id)).toBe(true);
      expect(await acknowledger.ack("1-0000000000000000")).toBe(false);
      await acknowledger.close();
      await replica.stop();
    });

    test("H37 Consumer answers 2xx and never acks → redelivered after the deadline, at last dead unacknowledged", async () => {
      const { transport, options } = explicit({ ackDeadlineMs: 150, maxRedeliveries: 2 });
      const replica = await fixture.replica(options);
      await replica.prepare("silent");
      await replica.commit("silent");
      await progress(replica, "silent", "has_dead");
      expect(transport.received).toHaveLength(3);
      expect(await deliveriesOf(replica, "silent")).toMatchObject([
        { state: "dead", deadReason: "unacknowledged", redeliveries: 3, attempts: 3 },
      ]);
      const late = await asConsumer(replica, `/${idOf(transport.received)}/ack`);
      expect(late.body).toMatchObject({ state: "acked", applied: true, late: true });
      await replica.stop();
    });

    test("order: prepare holds a message while an earlier prepare of its key is undecided, and says which", async () => {
      const transport = memoryTransport();
      const replica = await fixture.replica({ ...quick, destinations: { kafka: { transport } } });
      const ordered = { order: "prepare", messages: [message({ key: "ordered" })] };
      for (const id of ["one", "two", "three-o"]) await replica.prepare(id, ordered);
      await replica.commit("three-o");
      await replica.commit("two");
      await waitUntil(async () => (await replica.show("two")).body.blockedBy === "one", { what: "it is blocked" });
      expect(transport.received).toEqual([]);
      await replica.rollback("one");
      await progress(replica, "three-o", "done");
      expect(transport.received.map(({ id }) => id)).toEqual(["two", "three-o"]);
      await replica.stop();
    });

    test("only the destination's own consumer acknowledges, with its own key, and bad requests change nothing", async () => {
      const { transport, options } = explicit();
      const replica = await fixture.replica(options);
      await replica.prepare("mine");
      await replica.commit("mine");
      await waitUntil(async () => (await deliveriesOf(replica, "mine"))[0]?.state === "awaiting_ack", { what: "it was published" });
      const id = idOf(transport.received);
      expect((await asConsumer(replica, `/${id}/ack`, {}, null)).status).toBe(401);
      expect((await asConsumer(replica, `/${id}/ack`, {}, "payments-1")).status).toBe(403);
      const other = await replica.call("POST", `/v1/consumers/shipping/deliveries/${id}/ack`, {}, { key: "billing-1" });
      expect(other.status).toBe(403);
      for (const [path, body] of [
        [`/${id}/ack`, { sure: true }],
        [`/${id}/nack`, {}],
        [`/${id}/nack`, { attempt: 0 }],
        [`/${id}/nack`, { attempt: 1, retryAfterMs: -1 }],
        [`/${id}/extend`, { forMs: 90_000_000 }],
        [":ack", { deliveryIds: [] }],
        [":ack", { deliveryIds: [7] }],
      ] as const)
        expect(await asConsumer(replica, path, body), JSON.stringify(body)).toMatchObject({
          status: 400,
          body: { code: "malformed_request" },
        });
      expect((await asConsumer(replica, ":ack", { deliveryIds: Array.from({ length: 501 }, () => id) })).body).toMatchObject({
        code: "limit_exceeded",
      });
      expect((await asConsumer(replica, "/1-0000000000000000/ack")).body).toMatchObject({ status: 404, code: "unknown_delivery" });
      expect((await deliveriesOf(replica, "mine"))[0]?.state).toBe("awaiting_ack");
      expect((await asConsumer(replica, `/${id}/extend`, { forMs: 60_000 })).body).toMatchObject({ state: "awaiting_ack", applied: true });
      await replica.stop();
    });
  }),
);
