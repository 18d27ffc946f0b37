import { forEachPostgres, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, row } from "./relay-fixture.ts";

forEachPostgres((server) =>
  describe(`holes on ${server.name}`, () => {
    const it = itOn(server);

    it("an id whose transaction is still open is a hole and is read when it commits", async ({ fixture }) => {
      const slow = await fixture.begin();
      await slow.append(row("slow"));
      await fixture.append(row("fast"));
      const relay = fixture.start();
      await relay.hasPublished(1);
      await relay.seen("relay.cursorSaved");
      expect(await fixture.subscription()).toMatchObject({ lastId: 2, ranges: ["1-1"] });
      await slow.commit();
      await relay.hasPublished(2);
      expect(relay.sequences()).toEqual([2, 1]);
      await fixture.isSaved(2);
    });

    it("a write transaction that stays open delays only its own messages, and its hole is not given up", async ({ fixture }) => {
      const slow = await fixture.begin();
      await slow.append(row("slow"));
      const relay = fixture.start();
      await fixture.appendMany(300);
      await relay.hasPublished(300);
      // Twenty looks for who could still fill it: far more than the three that prove a dead one.
      const looks = relay.eventsOf("relay.holesLooking").length;
      const isLookedAtOften = (): boolean => {
        expect(relay.eventsOf("relay.holesForgotten")).toEqual([]);
        return relay.eventsOf("relay.holesLooking").length >= looks + 20;
      };
      await waitUntil(isLookedAtOften, { what: "the hole was looked at 20 times" });
      expect(relay.relay.health()).toMatchObject({ holeRanges: 1, lowWaterMark: 1n, isCaughtUp: true });
      await slow.commit();
      await relay.hasPublished(301);
      expect(relay.sequences().at(-1)).toBe(1);
      await fixture.isSaved(301);
    });

    it("a rolled-back id is forgotten only after it is proven dead, and only after a read that was sent later", async ({ fixture }) => {
      const writer = await fixture.begin();
      await writer.append(row("gone"), row("gone"));
      await fixture.append(row("stays"));
      const relay = fixture.start();
      await relay.hasPublished(1);
      await relay.seen("relay.holesLooking");
      expect(relay.eventsOf("relay.holesProved")).toEqual([]);
      await writer.rollback();
      await relay.seen("relay.holesForgotten");
      const names = relay.events.map(({ name }) => name);
      const proved = names.indexOf("relay.holesProved");
      const forgotten = names.indexOf("relay.holesForgotten");
      expect(names.slice(proved, forgotten)).toContain("relay.batchReading");
      expect(names.slice(0, proved).filter((name) => name === "relay.holesLooking").length).toBeGreaterThanOrEqual(3);
      await fixture.isSaved(3);
      expect(relay.sequences()).toEqual([3]);
    });

    it("a prepared transaction keeps its hole until it is decided, over a restart of the relay", async ({ fixture, skip }) => {
      const [allowed] = await fixture.run("show max_prepared_transactions");
      if (Number(allowed?.max_prepared_transactions) === 0)
        skip(`${server.name} has max_prepared_transactions = 0; the embedded server runs this`);
      const writer = await fixture.client();
      await writer.run("begin");
      await writer.run("insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', 'p', '{}')");
      await writer.run("prepare transaction 'held'");
      await fixture.append(row("k"));
      const first = fixture.start();
      await first.hasPublished(1);
      await waitUntil(() => first.eventsOf("relay.holesLooking").length >= 8, { what: "the hole was looked at" });
      await first.stop();
      expect(await fixture.subscription()).toMatchObject({ lastId: 2, ranges: ["1-1"] });
      const second = fixture.start();
      await waitUntil(() => second.eventsOf("relay.holesLooking").length >= 8, { what: "the hole was looked at" });
      expect(second.eventsOf("relay.holesForgotten")).toEqual([]);
      await fixture.run("commit prepared 'held'");
      await second.hasPublished(1);
      expect(second.sequences()).toEqual([1]);
    });
  }),
);

describe("holes", () => {
  const it = itOn();

  it("a hole that fills is published before later messages of its key", async ({ fixture }) => {
    const transport = memoryTransport();
    const fault = transport.inject({ kind: "retry", times: 1_000, when: ({ sequence }) => sequence === 2n });
    const slow = await fixture.begin();
    await slow.append(row("k"));
    await fixture.append(row("k"), row("k"), row("other"));
    const relay = fixture.start({ memory: transport });
    // The lane waits with 2 and 3 in it; 1 comes late and takes its place before both.
    await fault.hasFired(2);
    await slow.commit();
    await relay.seen("relay.batchRead", { when: ({ fromHoles }) => fromHoles === 1 });
    fault.lift();
    await relay.hasPublished(4);
    expect(firstPublications(transport.received).get("orders k")).toEqual([1, 2, 3]);
  });

  it("a burned range of a million ids is one hole and dies as one", async ({ fixture }) => {
    await fixture.append(row("k"));
    await fixture.run("select setval('waybill_outbox_id_seq', 1000001)");
    await fixture.append(row("k"));
    const relay = fixture.start();
    await relay.hasPublished(2);
    expect(relay.sequences()).toEqual([1, 1_000_002]);
    await relay.seen("relay.holesForgotten");
    await fixture.isSaved(1_000_002);
    expect(relay.eventsOf("relay.batchApplied").every(({ holeRanges }) => holeRanges <= 1)).toBe(true);
  });

  it("an id set by hand above the counter leaves its hole unproven until the counter has passed it", async ({ fixture }) => {
    await fixture.run(
      "insert into waybill_outbox (id, type, topic, payload) overriding system value values (10, 'shop.order.placed.v1', 'orders', '{}')",
    );
    await fixture.run("select setval('waybill_outbox_id_seq', 4)");
    // The cursor may not lie beyond the counter when it is acquired, so the relay begins before the row is read.
    const relay = fixture.start();
    await relay.hasPublished(1);
    await waitUntil(() => relay.relay.health().holeRanges === 1 && relay.relay.health().lowWaterMark === 5n, {
      what: "ids up to the counter are forgotten",
    });
    await waitUntil(() => relay.eventsOf("relay.holesLooking").length >= 10, { what: "the rest was looked at" });
    expect(relay.relay.health()).toMatchObject({ lowWaterMark: 5n, holeRanges: 1 });
    await fixture.append(row("k"), row("k"));
    await relay.hasPublished(3);
    expect(relay.sequences()).toEqual([10, 5, 6]);
  });

  it("what is stored are the last id, the holes and the ids read but not confirmed", async ({ fixture }) => {
    const transport = memoryTransport();
    transport.inject({ kind: "hang", when: ({ sequence }) => sequence === 3n });
    const slow = await fixture.begin();
    await fixture.append(row("a"), row("b"));
    const hung = await fixture.append(row("c"));
    await slow.append(row("slow"));
    await fixture.append(row("d"), row("e"), row("f"));
    expect(hung).toEqual([3]);
    const relay = fixture.start({ memory: transport, publishDeadlineMs: 30_000, batchMax: 1 });
    await relay.hasPublished(5);
    await waitUntil(async () => (await fixture.subscription()).ranges.join() === "3-4", {
      what: "the row says that 3 is not confirmed and 4 is a hole",
    });
    expect(await fixture.subscription()).toMatchObject({ lastId: 7, ranges: ["3-4"] });
    await slow.rollback();
    await waitUntil(async () => (await fixture.subscription()).ranges.join() === "3-3", {
      what: "the hole is forgotten, the open id is not",
    });
  });

  it("a relay that is stopped while a message hangs leaves it to the next one", async ({ fixture }) => {
    const transport = memoryTransport();
    const hang = transport.inject({ kind: "hang", when: ({ sequence }) => sequence === 2n });
    await fixture.append(row("a"), row("b"), row("c"));
    const first = fixture.start({ memory: transport, batchMax: 1, drainMs: 50 });
    await hang.hasFired();
    await first.hasPublished(2);
    await first.stop();
    expect(await fixture.subscription()).toMatchObject({ lastId: 3, ranges: ["2-2"], owner: null });
    const second = fixture.start();
    await second.hasPublished(1);
    expect(second.sequences()).toEqual([2]);
  });

  it("holes beyond the bound of a read are read first, and what lies above them waits", async ({ fixture }) => {
    // 1 500 ids of one key commit late, in one transaction, while its later ones are published by nobody yet.
    const slow = await fixture.client();
    await slow.run("begin");
    await slow.run("select pg_advisory_xact_lock(1)");
    await slow.run(
      "insert into waybill_outbox (type, topic, key, payload) select 'shop.order.placed.v1', 'orders', 'k', '{}' from generate_series(1, 1500)",
    );
    await fixture.append(row("other"));
    const relay = fixture.start();
    await relay.hasPublished(1);
    const next = fixture.client().then(async (client) => {
      await client.run("begin");
      await client.run("select pg_advisory_xact_lock(1)");
      await client.run("insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', 'k', '{}')");
      await client.run("commit");
    });
    await slow.run("commit");
    await next;
    await relay.hasPublished(1_502);
    const sequences = firstPublications(relay.transport.received).get("orders k") ?? [];
    expect(sequences).toHaveLength(1_501);
    expect(isAscending(sequences)).toBe(true);
  });

  it("under concurrent writers, rollbacks and late commits nothing is lost, nothing is a ghost, and each key keeps its order", async ({
    fixture,
  }) => {
    await fixture.run("create table stock (key text primary key, version int not null)");
    await fixture.run("insert into stock select concat('k', n), 0 from generate_series(0, 5) n");
    const relay = fixture.start({ pollMinMs: 1 });
    const committed: number[] = [];
    const untilMs = Date.now() + 2_500;
    const writeUntil = async (writer: number): Promise<void> => {
      const client = await fixture.client();
      for (let round = writer; Date.now() < untilMs; round += 1) {
        const key = `k${(round * 7) % 6}`;
        await client.run("begin");
        await client.run("update stock set version = version + 1 where key = ?", [key]);
        const appended: number[] = [];
        for (let count = 0; count <= round % 3; count += 1) {
          const [inserted] = await client.run(
            "insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', ?, '{}') returning id",
            [key],
          );
          appended.push(Number(inserted?.id));
        }
        if (round % 11 === 0) await client.run("select pg_sleep(0.03)");
        if (round % 5 === 0) await client.run("rollback");
        else {
          await client.run("commit");
          committed.push(...appended);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, writer) => writeUntil(writer)));
    await relay.hasPublished(committed.length);
    await relay.stop();
    expect([...relay.sequences()].sort((left, right) => left - right)).toEqual(committed.sort((left, right) => left - right));
    for (const [, sequences] of firstPublications(relay.transport.received)) expect(isAscending(sequences)).toBe(true);
    expect(committed.length).toBeGreaterThan(100);
  });
});
