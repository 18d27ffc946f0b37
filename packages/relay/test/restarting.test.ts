import { openDatabase } from "@waybill/sql";
import { memoryTransport, startFaultProxy, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

const it = itOn();

/** Ends the relay's sessions of this purpose, as an administrator or a failing server does; answers how many there were. */
const terminate = async (fixture: RelayFixture, purpose = "%"): Promise<number> =>
  (
    await fixture.run(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like ?",
      [`% relay ${purpose}`],
    )
  ).length;

describe("a relay whose connection is ended", () => {
  for (const purpose of ["read", "look up", "save", "upkeep"])
    it(`begins again from the saved cursor and loses nothing: the one to ${purpose}`, async ({ fixture }) => {
      const transport = memoryTransport();
      transport.inject({ kind: "retry", times: 50, probability: 0.05, seed: 7 });
      transport.inject({ kind: "reject", times: 3, probability: 0.01, seed: 7, reason: "tooLarge" });
      const relay = fixture.start({ memory: transport });
      await relay.seen("relay.leaseAcquired");
      await fixture.appendMany(400);
      await relay.hasPublished(50);
      expect(await terminate(fixture, purpose)).toBe(1);
      await relay.seen("relay.restarting");
      await fixture.appendMany(400);
      await relay.seen("relay.leaseAcquired", { when: ({ epoch }) => epoch === 2n });
      await fixture.isSaved(800);
      const done = new Set([...relay.sequences(), ...(await fixture.letters()).map((letter) => Number(letter.split(" ")[0]))]);
      expect(done.size).toBe(800);
    });

  it("notices at once, also that of one it does not use", async ({ fixture }) => {
    const relay = fixture.start();
    await relay.seen("relay.batchApplied");
    expect(await terminate(fixture, "look up")).toBe(1);
    expect(await relay.seen("relay.restarting")).toMatchObject({ code: "connectionLost" });
  });

  it("takes its own lease back at once, and publishes alone only if it did before", async ({ fixture }) => {
    const relay = fixture.start({ leaseMs: 600_000 });
    await fixture.append(row("k"));
    await relay.hasPublished(1);
    expect(await terminate(fixture)).toBe(4);
    const again = await relay.seen("relay.leaseAcquired", { when: ({ epoch }) => epoch === 2n });
    expect(again.isSolo).toBe(false);
    await fixture.append(row("k"));
    await waitUntil(() => relay.sequences().includes(2), { what: "it publishes" });
    expect(relay.eventsOf("relay.soloPublishing")).toEqual([]);
  });
});

describe("what a relay remembered", () => {
  it("is dropped with its connections: ids that a crashed server gives out again are read", async ({ fixture }) => {
    const transport = memoryTransport();
    const relay = fixture.start({ memory: transport, saveMs: 60_000 });
    await fixture.appendMany(5);
    await relay.hasPublished(5);
    await fixture.appendMany(40);
    await relay.hasPublished(45);
    expect(await fixture.subscription()).toMatchObject({ lastId: 0 });
    // As after a crash with relaxed commits: rows are gone, and their ids are given to new ones.
    await fixture.run("begin");
    await fixture.run("delete from waybill_outbox where id > 5");
    await fixture.run("select setval('waybill_outbox_id_seq', 5)");
    await fixture.appendMany(40);
    await fixture.run("commit");
    const wanted = (await fixture.run("select message_id from waybill_outbox where id > 5")).map(({ message_id: id }) => String(id));
    expect(wanted).toHaveLength(40);
    expect(await terminate(fixture)).toBe(4);
    await waitUntil(
      () => {
        const published = new Set(transport.received.map(({ id }) => id));
        return wanted.every((id) => published.has(id));
      },
      { what: "every surviving row is published" },
    );
  });

  it("is dropped when the transport throws, and nothing is lost", async ({ fixture }) => {
    const transport = memoryTransport();
    const throwing = transport.inject({ kind: "throw", skip: 30, times: 1 });
    await fixture.appendMany(60);
    const relay = fixture.start({ memory: transport, batchMax: 5 });
    await throwing.hasFired();
    await relay.seen("relay.transportBroken", { when: ({ code }) => code === "threw" });
    await fixture.isSaved(60);
    expect(new Set(relay.sequences()).size).toBe(60);
    expect(relay.eventsOf("relay.restarting").length).toBe(1);
    expect(relay.eventsOf("relay.restarting")[0]?.code).toBe("unexpected");
    expect(relay.eventsOf("relay.leaseAcquired").every(({ isSolo }) => !isSolo)).toBe(true);
  });

  it("is dropped when the transport answers too few outcomes, and nothing is lost", async ({ fixture }) => {
    const transport = memoryTransport();
    const broken = transport.inject({ kind: "miscount", times: 1 });
    await fixture.appendMany(20);
    const relay = fixture.start({ memory: transport });
    await broken.hasFired();
    await relay.seen("relay.transportBroken", { when: ({ code }) => code === "outcomesMissing" });
    await fixture.isSaved(20);
    expect(new Set(relay.sequences()).size).toBe(20);
  });

  it("of a call on the wire is kept until it ends: nothing is published again before", async ({ fixture }) => {
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let calls = 0;
    const relay = fixture.start({
      publishDeadlineMs: 60_000,
      transport: {
        publish: async (batch) => {
          calls += 1;
          await answered;
          return batch.map(() => ({ kind: "confirmed" }) as const);
        },
        close: () => Promise.resolve(),
      },
    });
    await fixture.append(row("k"));
    await waitUntil(() => calls === 1, { what: "it is published" });
    const before = relay.events.length;
    expect(await terminate(fixture)).toBe(4);
    await expect(relay.seen("relay.leaseAcquired", { after: before, deadlineMs: 700 })).rejects.toThrow("in vain");
    answer();
    await relay.seen("relay.leaseAcquired", { after: before });
    await waitUntil(() => calls === 2, { what: "it is published again" });
  });

  it("of calls on the wire is waited for: a key is never in two calls, whatever fails meanwhile", async ({ fixture }) => {
    const under = new Set<string>();
    const terminated: Promise<number>[] = [];
    let twice = 0;
    let calls = 0;
    const relay = fixture.start({
      transport: {
        publish: async (batch) => {
          calls += 1;
          const keys = new Set(batch.map(({ key }) => key ?? ""));
          for (const key of keys) {
            if (under.has(key)) twice += 1;
            under.add(key);
          }
          if (calls % 4 === 0) terminated.push(terminate(fixture, "read"));
          await new Promise((resolve) => setTimeout(resolve, 30));
          for (const key of keys) under.delete(key);
          return batch.map(() => ({ kind: "confirmed" }) as const);
        },
        close: () => Promise.resolve(),
      },
      batchMax: 20,
    });
    await fixture.appendMany(400);
    await waitUntil(() => calls >= 16 && relay.eventsOf("relay.restarting").length >= 2, { what: "it began again" });
    expect(twice).toBe(0);
    await relay.stop();
    expect(await Promise.all(terminated)).toContain(1);
  });
});

describe("a database that cannot be reached", () => {
  it("does not end a relay: it begins when the database is there, and goes on after it was away", async ({ fixture }) => {
    const target = new URL(fixture.url);
    const proxy = await startFaultProxy({ target: { host: target.hostname, port: Number(target.port) } });
    const database = openDatabase({ url: proxy.url(fixture.url) });
    try {
      proxy.inject({ kind: "refuse" });
      const relay = fixture.start({ database });
      await relay.seen("relay.restarting", { when: ({ code }) => code.startsWith("WAYBILL_DATABASE") });
      expect(relay.relay.health()).toMatchObject({ state: "failing" });
      proxy.heal();
      await fixture.append(row("k"));
      await relay.hasPublished(1);
      expect(relay.relay.health()).toMatchObject({ state: "active", lastError: null });
      const before = relay.events.length;
      proxy.inject({ kind: "refuse" });
      expect(proxy.cutAll()).toBeGreaterThanOrEqual(4);
      await relay.seen("relay.restarting", { after: before });
      proxy.heal();
      await fixture.append(row("k"));
      await waitUntil(() => relay.sequences().includes(2), { what: "it goes on" });
      await relay.stop();
    } finally {
      await database.close({ deadlineMs: 500 });
      await proxy.stop();
    }
  });

  it("that stops answering is given up by our own deadline", async ({ fixture }) => {
    const target = new URL(fixture.url);
    const proxy = await startFaultProxy({ target: { host: target.hostname, port: Number(target.port) } });
    const database = openDatabase({ url: proxy.url(fixture.url), statementDeadlineMs: 400, connectDeadlineMs: 1_000 });
    try {
      const relay = fixture.start({ database, statementDeadlineMs: 400 });
      await fixture.append(row("k"));
      await relay.hasPublished(1);
      const hole = proxy.inject({ kind: "blackHole" });
      await relay.seen("relay.restarting");
      hole.lift();
      await fixture.append(row("k"));
      await waitUntil(() => relay.sequences().includes(2), { what: "it goes on" });
      await relay.stop();
    } finally {
      await database.close({ deadlineMs: 500 });
      await proxy.stop();
    }
  });

  it("is no reason to wait when a stop is asked for", async ({ fixture }) => {
    const database = openDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
    const relay = fixture.start({ database, outageBackoff: { firstMs: 60_000, maxMs: 60_000 } });
    await relay.seen("relay.restarting");
    await relay.stop();
    await database.close();
  });
});

describe("acquiring", () => {
  it("makes partitions ahead of the writers", async ({ fixture }) => {
    await fixture.run("select setval('waybill_outbox_id_seq', 2500000)");
    fixture.start();
    const ahead =
      "select count(*)::int as partitions from pg_inherits where inhparent = 'waybill_outbox'::regclass and inhrelid::regclass::text in ('waybill_outbox_p3000001', 'waybill_outbox_p4000001')";
    await waitUntil(async () => (await fixture.run(ahead))[0]?.["partitions"] === 2, { what: "two partitions lie ahead" });
  });

  it("a partition that cannot be made is reported and stops nothing", async ({ fixture }) => {
    await fixture.run("select setval('waybill_outbox_id_seq', 2500000)");
    await fixture.run("create table waybill_outbox_p3000001 ()");
    await fixture.append(row("k"));
    const relay = fixture.start();
    await relay.hasPublished(1);
    await relay.seen("relay.partitionsNotKept");
    expect(relay.relay.health().state).toBe("active");
  });
});
