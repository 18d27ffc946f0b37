/** Several relays in one process: what becomes of one is not noticed by another. */
import { isWaybillError, type RelayEvent, type WaybillEvent } from "@waybill/core";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import {
  forEachDatabaseInTurn,
  type MemoryTransport,
  memoryTransport,
  startFaultProxy,
  type TestDatabaseServer,
  testDatabase,
  waitUntil,
} from "@waybill/testing";
import { describe, expect, onTestFinished } from "vitest";
import { createRelays, type OneOfRelays, type RelayEnd, type Relays, type RelaysOptions, relayMigrations } from "../src/index.ts";
import { makeTables } from "./relay-databases.ts";
import { itOn, openFixture, quick, type RelayFixture, row } from "./relay-fixture.ts";

const deadlineMs = 60_000;

/** One of several, with what it did. */
interface Member {
  readonly options: OneOfRelays;
  readonly transport: MemoryTransport;
  readonly events: readonly WaybillEvent[];
  count(name: WaybillEvent["name"]): number;
  /** Waits for one event more than `before` of this name. */
  seen(name: WaybillEvent["name"], before?: number): Promise<void>;
  hasPublished(count: number): Promise<void>;
}

function member(name: string, url: string, over: Partial<OneOfRelays> = {}): Member {
  const events: WaybillEvent[] = [];
  const transport = memoryTransport();
  const database = openDatabase({ url, connections: 1 });
  onTestFinished(() => database.close());
  const count = (wanted: WaybillEvent["name"]): number => events.filter((event) => event.name === wanted).length;
  return {
    options: { name, database, transport, ...quick, ...over, onEvent: (event) => events.push(event) },
    transport,
    events,
    count,
    seen: async (wanted, before = 0) => {
      await waitUntil(() => count(wanted) > before, { what: `${name} reported ${wanted}`, deadlineMs });
    },
    hasPublished: async (wanted) => {
      await waitUntil(() => transport.received.length >= wanted, { what: `${name} published ${wanted}`, deadlineMs });
    },
  };
}

interface Running {
  readonly relays: Relays;
  stop(): Promise<readonly RelayEnd[]>;
}

function run(...members: readonly Member[]): Running {
  return runWithin({}, ...members);
}

function runWithin(totals: Pick<RelaysOptions, "totalLoadedMax">, ...members: readonly Member[]): Running {
  const aborter = new AbortController();
  const relays = createRelays({ relays: members.map(({ options }) => options), restartBackoff: { firstMs: 50, maxMs: 200 }, ...totals });
  const ends = relays.run({ signal: aborter.signal });
  const stop = (): Promise<readonly RelayEnd[]> => {
    aborter.abort();
    return ends;
  };
  onTestFinished(async () => {
    await stop();
  });
  return { relays, stop };
}

/** Wherever a relay had to begin anew, or lost what it held. */
const troubles: readonly RelayEvent["name"][] = ["relay.restarting", "relay.leaseLost", "relay.transportBroken"];
const troublesOf = ({ events }: Member): readonly string[] =>
  events.map(({ name }) => name as string).filter((name) => troubles.some((trouble) => trouble === name));

async function otherDatabase(server: TestDatabaseServer): Promise<RelayFixture> {
  const own = await testDatabase({ server: server.name });
  await makeTables(own.url);
  const { fixture, end } = await openFixture(own.url);
  onTestFinished(async () => {
    await end();
    await own.drop();
  });
  return fixture;
}

/** A login that the server refuses. */
function refusedUrl(url: string): string {
  const refused = new URL(url);
  if (refused.protocol === "mysql:") refused.password = "wrong";
  else refused.username = "waybill_nobody";
  return refused.href;
}

await forEachDatabaseInTurn("several relays", (server) =>
  describe(`several relays on ${server.name}`, { timeout: 240_000 }, () => {
    const it = itOn(server);

    it("one whose database hangs, and then lives again, is noticed by none but itself", async ({ fixture }) => {
      const other = await otherDatabase(server);
      const { hostname, port } = new URL(other.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      onTestFinished(() => proxy.stop());
      const [well, frozen] = [member("well", fixture.url), member("frozen", proxy.url(other.url), { statementDeadlineMs: 1_000 })];
      const { relays } = run(well, frozen);
      await fixture.append(row("a"));
      await other.append(row("b"));
      await Promise.all([well.hasPublished(1), frozen.hasPublished(1)]);

      proxy.inject({ kind: "blackHole" });
      // As long as it takes the one to lose its lease and to fail anew, the other renews, reads and publishes.
      await frozen.seen("relay.restarting");
      await frozen.seen("relay.restarting", frozen.count("relay.restarting"));
      const renewed = well.count("relay.leaseRenewed");
      await fixture.append(row("a"), row("c"));
      await well.hasPublished(3);
      await well.seen("relay.leaseRenewed", renewed);
      expect(relays.health().map(({ name, health }) => [name, health.state])).toEqual([
        ["well", "active"],
        ["frozen", "failing"],
      ]);
      expect(troublesOf(well)).toEqual([]);

      await other.append(row("b"));
      proxy.heal();
      await frozen.hasPublished(2);
    });

    it("one whose connections are killed begins anew alone, and a login that is refused keeps nobody from starting", async ({
      fixture,
    }) => {
      const other = await otherDatabase(server);
      const [well, killed] = [member("well", fixture.url), member("killed", other.url)];
      const refused = member("refused", refusedUrl(other.url), { subscription: "refused" });
      const { relays, stop } = run(refused, well, killed);
      await Promise.all([well.seen("relay.leaseAcquired"), killed.seen("relay.leaseAcquired"), refused.seen("relay.restarting")]);
      await other.endOthers();
      await killed.seen("relay.leaseAcquired", 1);
      await Promise.all([fixture.append(row("a")), other.append(row("b"))]);
      await Promise.all([well.hasPublished(1), killed.hasPublished(1)]);
      expect(troublesOf(well)).toEqual([]);
      expect(refused.count("relay.leaseAcquired")).toBe(0);
      expect(relays.health()[0]?.health.lastError).toMatch(/^WAYBILL_DATABASE/);
      expect((await stop()).map(({ kind }) => kind)).toEqual(["drained", "drained", "drained"]);
      for (const each of [fixture, other]) expect(await each.subscription()).toMatchObject({ owner: null, isLeased: false, ranges: [] });
    });

    it("one whose tables are missing is told of, begun anew, and runs once they are there", async ({ fixture }) => {
      const empty = await testDatabase({ server: server.name });
      onTestFinished(() => empty.drop());
      const [well, bare] = [member("well", fixture.url), member("bare", empty.url)];
      const { relays } = run(well, bare);
      await well.seen("relay.leaseAcquired");
      await bare.seen("relays.relayEnded", 1);
      const [, standing] = relays.health();
      expect(isWaybillError(standing?.endedWith, "WAYBILL_SCHEMA_MISMATCH")).toBe(true);
      await fixture.append(row("a"));
      await well.hasPublished(1);
      await makeTables(empty.url);
      await bare.seen("relay.leaseAcquired");
      await waitUntil(() => relays.health()[1]?.endedWith === null, { what: "it has got further", deadlineMs });
      expect(troublesOf(well)).toEqual([]);
    });

    it("when tables are missing everywhere, all have ended, and `run` tells with what", async () => {
      const empty = await testDatabase({ server: server.name });
      onTestFinished(() => empty.drop());
      const database = openDatabase({ url: empty.url });
      await migrateUp(database, namespace(database.dialect), [sqlMigrations, relayMigrations]);
      await database.close();
      const members = [member("a", empty.url), member("b", empty.url, { subscription: "b" })];
      const ends = await createRelays({ relays: members.map(({ options }) => options) }).run({ signal: new AbortController().signal });
      expect(ends).toMatchObject([
        { name: "a", kind: "failed", error: { code: "WAYBILL_SCHEMA_MISMATCH" } },
        { name: "b", kind: "failed", error: { code: "WAYBILL_SCHEMA_MISMATCH" } },
      ]);
    });

    it("three subscriptions of one database publish what is theirs, and one that is stopped holds up its topic alone", async ({
      fixture,
    }) => {
      const [all, orders, rest] = [
        member("all", fixture.url, { subscription: "all", keyPolicy: "stop" }),
        member("orders", fixture.url, { subscription: "orders", topics: ["orders"] }),
        member("rest", fixture.url, { subscription: "rest", topics: ["pay*", "refunds"], keyPolicy: "skip" }),
      ];
      all.transport.inject({ kind: "reject", times: 1_000, when: ({ topic }) => topic === "payments" });
      const { relays, stop } = run(all, orders, rest);
      const [order, payment, refund, lateOrder, latePayment] = await fixture.append(
        row("a", "1", "orders"),
        row("a", "2", "payments"),
        row("a", "3", "refunds"),
        row("a", "4", "orders"),
        row("a", "5", "payments"),
      );
      await all.seen("relay.topicStopped");
      await Promise.all([all.hasPublished(3), orders.hasPublished(2), rest.hasPublished(3)]);
      const sequences = ({ transport }: Member): readonly number[] =>
        transport.received.map(({ sequence }) => Number(sequence)).sort((left, right) => left - right);
      expect(sequences(all)).toEqual([order, refund, lateOrder]);
      expect(sequences(orders)).toEqual([order, lateOrder]);
      expect(sequences(rest)).toEqual([payment, refund, latePayment]);
      expect(relays.health().map(({ health }) => health.stoppedTopics)).toEqual([["payments"], [], []]);

      // A subscription that an operator has paused stands still, and the others do not.
      await fixture.run("update waybill_subscription set state = 'paused', epoch = epoch + 1, owner = null where subscription = 'orders'");
      await waitUntil(() => relays.health()[1]?.health.state === "paused", { what: "it is paused", deadlineMs });
      const [more] = await fixture.append(row("b", "6", "refunds"));
      await Promise.all([all.hasPublished(4), rest.hasPublished(4)]);
      expect(sequences(rest)).toContain(more);
      expect(sequences(orders)).toHaveLength(2);
      await stop();
      expect(await fixture.run("select owner from waybill_subscription where owner is not null")).toEqual([]);
    });

    it("what all of them hold in memory stays within the bound of the process, however much waits", async ({ fixture }) => {
      await fixture.appendMany(5_000, "'orders', null, '{}'");
      const members = ["a", "b", "c"].map((name) => member(name, fixture.url, { subscription: name, publishDeadlineMs: 60_000 }));
      for (const { transport } of members) transport.inject({ kind: "delay", afterMs: 120_000, times: 1_000_000 });
      const { relays } = runWithin({ totalLoadedMax: 3_000 }, ...members);
      await waitUntil(() => relays.health().every(({ health }) => health.unconfirmed === 5_000), { what: "all is read", deadlineMs });
      const loaded = relays.health().reduce((sum, { health }) => sum + health.unconfirmed - health.parked, 0);
      expect(loaded).toBeGreaterThan(0);
      expect(loaded).toBeLessThanOrEqual(6_000);
    });

    it("a backlog of one keeps no other from renewing its lease", async ({ fixture }) => {
      const other = await otherDatabase(server);
      const [busy, idle] = [member("busy", fixture.url), member("idle", other.url, { leaseMs: 6_000 })];
      await fixture.appendMany(10_000);
      run(busy, idle);
      await Promise.all([busy.seen("relay.leaseAcquired"), idle.seen("relay.leaseAcquired")]);
      // There is always more to publish, until the other has renewed twice.
      while (idle.count("relay.leaseRenewed") < 2) {
        await waitUntil(() => idle.count("relay.leaseRenewed") >= 2 || busy.transport.received.length > 5_000, {
          what: "one renews or the other publishes",
          deadlineMs,
        });
        if (busy.transport.received.length <= 5_000) continue;
        busy.transport.forget();
        await fixture.appendMany(10_000);
      }
      expect(troublesOf(idle)).toEqual([]);
    });
  }),
);
