import { catalogue, message } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createOutbox, outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect, it as unit } from "vitest";
import { createRelay, relayMigrations } from "../src/index.ts";
import { firstPublications, isAscending, itOn, row } from "./relay-fixture.ts";

await forEachDatabase((server) =>
  describe(`publishing from ${server.name}`, () => {
    const it = itOn(server);

    it("a message whose transaction committed is published, with everything that was appended", async ({ fixture }) => {
      const shop = catalogue({
        source: "/shop",
        orderPlaced: message<{ id: string }>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.id }),
      });
      const client = await fixture.client();
      const { append } = createOutbox();
      await client.run("begin");
      await append(client.handle, shop.orderPlaced({ id: "o-1" }, { headers: { "x-tenant": "ünï" } }));
      await client.run("commit");
      const relay = fixture.start();
      await relay.hasPublished(1);
      const [published] = relay.transport.received;
      expect(published).toMatchObject({ type: "shop.order.placed.v1", topic: "orders", key: "o-1", sequence: 1n });
      expect(published?.headers.get("x-tenant")).toBe("ünï");
      expect(published?.headers.get("ce-source")).toBe("/shop");
      expect(Buffer.from(published?.payload ?? []).toString()).toBe('{"id":"o-1"}');
      expect(Math.abs((published?.createdAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
      const [stored] = await fixture.run("select message_id from waybill_outbox");
      expect(published?.id).toBe(stored?.message_id);
    });

    it("a message appended in a rolled-back transaction is never published", async ({ fixture }) => {
      const relay = fixture.start({ holeFenceAfterMs: 10 });
      const writer = await fixture.begin();
      await writer.append(row("k"));
      await writer.rollback();
      await fixture.append(row("k"));
      await relay.hasPublished(1);
      await fixture.isSaved(2);
      expect(relay.sequences()).toEqual([2]);
    });

    it("messages of a key are published in append order, each once, and those of other keys beside them", async ({ fixture }) => {
      await fixture.appendMany(3_000, "'orders', case when n % 7 = 0 then null else concat('k', n % 40) end, '{}'");
      const relay = fixture.start({ batchMax: 90 });
      await relay.hasPublished(3_000);
      await relay.stop();
      expect(relay.transport.received).toHaveLength(3_000);
      expect(new Set(relay.sequences()).size).toBe(3_000);
      for (const [, sequences] of firstPublications(relay.transport.received)) expect(isAscending(sequences)).toBe(true);
      expect(await fixture.subscription()).toMatchObject({ lastId: 3_000, ranges: [], owner: null, isLeased: false });
    });

    it("payloads come out as the bytes that went in, text, binary, empty, large and none", async ({ fixture }) => {
      const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const payloads: (string | Uint8Array | null)[] = [
        ' { "a" : 1.0, "a":12345678901234567890 }\n',
        "Grüße, 世界 🚚 \\u0000 \u2028",
        "",
        new Uint8Array(0),
        everyByte,
        null,
        `"${"ü".repeat(10_000)}"`,
        "x".repeat(16_384),
        "x".repeat(16_385),
        "y".repeat(1_000_000),
        Buffer.concat(Array.from({ length: 4_096 }, () => everyByte)),
      ];
      await fixture.append(...payloads.map((payload) => row(null, payload)), ...payloads.map((payload) => row("k", payload)));
      const relay = fixture.start();
      await relay.hasPublished(payloads.length * 2);
      const bytes = (payload: string | Uint8Array | null): string | null =>
        payload === null ? null : Buffer.from(payload).toString("base64");
      const bySequence = new Map(relay.transport.received.map(({ sequence, payload }) => [Number(sequence), payload]));
      for (let place = 0; place < payloads.length * 2; place += 1)
        expect(bytes(bySequence.get(place + 1) ?? null) === bytes(payloads[place % payloads.length] ?? null), `payload ${place}`).toBe(
          true,
        );
      expect(firstPublications(relay.transport.received).get("orders k")).toEqual(payloads.map((_, place) => payloads.length + place + 1));
    });

    it("a row that no transport could send becomes a dead letter with its bytes and the reason", async ({ fixture }) => {
      const headers = '{"a":';
      await fixture.append(
        { ...row("k1", Uint8Array.from([0, 255])), headers },
        { ...row("k2", "text"), type: "" },
        { ...row("k3", "z".repeat(20_000)), headers: '{"authorization":"x"}' },
        row("k1", "behind it"),
        row("k4", "good"),
      );
      const relay = fixture.start();
      await waitUntil(async () => (await fixture.letters()).length === 4, { what: "four dead letters are there" });
      expect(await fixture.letters()).toEqual(["1 dead malformedHeaders", "2 dead emptyType", "3 dead malformedHeaders", "4 held -"]);
      expect(relay.sequences()).toEqual([5]);
      const stored = await fixture.run({
        postgres: "select sequence, type, headers, payload, encode(payload_bytes, 'hex') as hex from waybill_dead_letter order by sequence",
        mysql: "select sequence, type, headers, payload, lower(hex(payload_bytes)) as hex from waybill_dead_letter order by sequence",
      });
      expect(stored[0]).toMatchObject({ headers, payload: null, hex: "00ff" });
      expect(stored[1]).toMatchObject({ type: "", payload: "text", hex: null });
      expect(stored[2]).toMatchObject({ payload: "z".repeat(20_000) });
      await fixture.isSaved(5);
    });
  }),
);

await forEachDatabase((server) =>
  describe(`publishing on ${server.name}`, () => {
    const it = itOn(server);

    if (server.dialect === "postgres")
      it("tables with a schema and a prefix of their own are served beside others", async ({ fixture }) => {
        const place = { schema: "Shop", prefix: "msg_" };
        await migrateUp(fixture.database, namespace("postgres", place), [
          sqlMigrations,
          outboxMigrations,
          deadLetterMigrations,
          relayMigrations,
        ]);
        await fixture.run(`insert into "Shop".msg_outbox (type, topic, payload) values ('shop.order.placed.v1', 'orders', '{}')`);
        const relay = fixture.start(place);
        await relay.hasPublished(1);
        await relay.stop();
        expect(await fixture.run(`select last_id from "Shop".msg_subscription`)).toEqual([{ last_id: "1" }]);
        expect(await fixture.run("select * from waybill_subscription")).toEqual([]);
      });

    it("a subscription that begins now is given nothing older, and keeps its place afterwards", async ({ fixture }) => {
      await fixture.append(row("k"), row("k"));
      const first = fixture.start({ from: "now" });
      await first.seen("relay.batchApplied");
      const [third] = await fixture.append(row("k"));
      await first.hasPublished(1);
      expect(first.sequences()).toEqual([third]);
      await first.stop();
      await fixture.append(row("k"));
      const second = fixture.start({ from: "now" });
      await second.hasPublished(1);
      expect(second.sequences()).toEqual([4]);
    });

    it("each subscription has a cursor of its own and is given everything", async ({ fixture }) => {
      await fixture.appendMany(50);
      const [one, other] = [fixture.start({ subscription: "one" }), fixture.start({ subscription: "other" })];
      await Promise.all([one.hasPublished(50), other.hasPublished(50)]);
      await one.stop();
      await fixture.appendMany(5);
      await other.hasPublished(55);
      expect(one.transport.received).toHaveLength(50);
    });

    it("a fence row, with neither type nor topic, is skipped", async ({ fixture }) => {
      if (server.dialect === "postgres") await fixture.run("alter table waybill_outbox drop constraint waybill_outbox_topic");
      await fixture.append({ ...row("k"), type: "", topic: "" }, row("k"));
      const relay = fixture.start();
      await relay.hasPublished(1);
      await fixture.isSaved(2);
      expect(relay.sequences()).toEqual([2]);
      expect(await fixture.letters()).toEqual([]);
    });

    it("memory is bounded by count: what finds no room is parked", async ({ fixture }) => {
      await fixture.appendMany(3_000, "'orders', null, '{}'");
      const transport = memoryTransport();
      const fault = transport.inject({ kind: "delay", afterMs: 60_000, times: 1_000_000 });
      const relay = fixture.start({ memory: transport, loadedMax: 100, publishDeadlineMs: 30_000 });
      await fault.hasFired(100);
      await waitUntil(() => relay.relay.health().unconfirmed === 3_000, { what: "everything is read" });
      const { unconfirmed, parked } = relay.relay.health();
      expect(unconfirmed - parked).toBeLessThanOrEqual(100);
    });

    it("a topic that is slow leaves room for the others", async ({ fixture }) => {
      await fixture.appendMany(3_000, "'slow', null, '{}'");
      await fixture.appendMany(10, "'quick', null, '{}'");
      const transport = memoryTransport();
      transport.inject({ kind: "delay", afterMs: 60_000, times: 1_000_000, when: ({ topic }) => topic === "slow" });
      fixture.start({ memory: transport, loadedMax: 1_000, publishDeadlineMs: 30_000 });
      await waitUntil(() => transport.received.filter(({ topic }) => topic === "quick").length === 10, {
        what: "the quick topic is published",
      });
    });

    it("thousands of keys that wait behind one another's dead letters are copied one after the other", async ({ fixture }) => {
      await fixture.appendMany(1_500, "'orders', null, '{}'");
      await fixture.run("update waybill_outbox set headers = 'broken'");
      fixture.start();
      const dead = "select count(*) as count from waybill_dead_letter where state = 'dead'";
      await waitUntil(async () => Number((await fixture.run(dead))[0]?.count) === 1_500, {
        what: "all are dead letters",
        deadlineMs: 50_000,
      });
    });

    it("a key with a long wait and a long queue costs the lease nothing", async ({ fixture }) => {
      await fixture.appendMany(40_000, "'orders', 'k', '{}'");
      const transport = memoryTransport();
      transport.inject({ kind: "retry", scope: "message", afterMs: 60_000, times: 1_000_000 });
      const relay = fixture.start({ memory: transport, leaseMs: 2_000 });
      await waitUntil(() => relay.relay.health().parked === 40_000, { what: "everything is read and parked" });
      expect(relay.relay.health().epoch).toBe(1n);
    });

    it("memory is bounded by bytes, and everything is published all the same", async ({ fixture }) => {
      await fixture.appendMany(400, "'orders', null, repeat('x', 15000)");
      let mostBytes = 0;
      const relay = fixture.start({
        loadedBytesMax: 1_000_000,
        batchMax: 10,
        onEvent: () => {
          mostBytes = Math.max(mostBytes, relay?.relay.health().loadedBytes ?? 0);
        },
      });
      await relay.hasPublished(400);
      expect(mostBytes).toBeLessThan(1_000_000 + 500 * 15_400);
    });

    it("large payloads among a backlog that fills the memory come in their turn", async ({ fixture }) => {
      await fixture.appendMany(1_500, "'orders', concat('k', n % 50), repeat('x', case when n % 3 = 0 then 20000 else 10 end)");
      const relay = fixture.start({ loadedMax: 200, loadedBytesMax: 400_000, batchMax: 20 });
      await relay.hasPublished(1_500);
      for (const [, sequences] of firstPublications(relay.transport.received)) expect(isAscending(sequences)).toBe(true);
      await fixture.isSaved(1_500);
      expect(relay.relay.health()).toMatchObject({ loadedBytes: 0, parked: 0, unconfirmed: 0 });
    });

    it("a listener that throws disturbs nothing", async ({ fixture }) => {
      await fixture.append(row("k"));
      const relay = fixture.start({
        onEvent: () => {
          throw new Error("a listener's own trouble");
        },
      });
      await relay.hasPublished(1);
    });

    it("a large payload of a key comes before the small ones behind it", async ({ fixture }) => {
      await fixture.append(row("k", "a"), row("k", "b".repeat(200_000)), row("k", "c"), row("k", "d".repeat(50_000)), row("k", "e"));
      const relay = fixture.start();
      await relay.hasPublished(5);
      expect(relay.sequences()).toEqual([1, 2, 3, 4, 5]);
      await relay.stop();
      expect(relay.transport.received).toHaveLength(5);
    });
  }),
);

unit("a relay that was never run is starting", async () => {
  const database = openDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
  expect(createRelay({ database, transport: memoryTransport() }).health()).toMatchObject({
    state: "starting",
    epoch: null,
    lastError: null,
  });
  await database.close();
});
