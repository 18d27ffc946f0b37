/**
 * What a database does at night: it restarts, freezes, runs out of connections, takes no writes for a while. The relay lives through all
 * of it and goes on within 5 s of the server taking it again; nothing is lost, and the first publications of a key keep their order.
 *
 * Each kind of server here is one that nobody else uses.
 */
import { readFile } from "node:fs/promises";
import { openDatabase } from "@waybill/sql";
import {
  type StartedServer,
  startMariadb,
  startMysql,
  startPgbouncer,
  startPostgres,
  type TestDatabase,
  testDatabase,
  waitUntil,
} from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Application, connectApplication } from "./application.ts";
import { makeTables } from "./relay-databases.ts";
import { firstPublications, isAscending, openFixture, type RelayFixture, type StartedRelay } from "./relay-fixture.ts";

const recoversWithinMs = 5_000;
/** A server's first start may include its download. */
const startDeadlineMs = 600_000;
const connectionsMax = 24;

const kinds = [
  {
    name: "postgres",
    start: () =>
      startPostgres({
        settings: {
          max_connections: String(connectionsMax),
          superuser_reserved_connections: "0",
          max_wal_senders: "0",
          wal_level: "replica",
        },
      }),
    becomeReadOnly: ["alter system set default_transaction_read_only = on", "select pg_reload_conf()"],
    becomeWritable: ["alter system reset default_transaction_read_only", "select pg_reload_conf()"],
  },
  {
    name: "mariadb",
    start: () => startMariadb({ settings: { max_connections: String(connectionsMax) } }),
    becomeReadOnly: ["set global read_only = on"],
    becomeWritable: ["set global read_only = off"],
  },
  {
    name: "mysql",
    start: () => startMysql({ settings: { max_connections: String(connectionsMax) } }),
    becomeReadOnly: ["set global super_read_only = on"],
    becomeWritable: ["set global super_read_only = off", "set global read_only = off"],
  },
] as const;

/** 100 messages of ten keys, by a session of its own: the fixture's may have ended with the server. */
async function insertHundred(url: string): Promise<void> {
  // A server may take a moment to see that those who filled it are gone.
  const application = await waitUntil(() => connectApplication(url).catch(() => null), { what: "the server takes another session" });
  const key = application.dialect === "postgres" ? "key" : "`key`";
  for (let number = 0; number < 100; number += 1)
    await application.run(`insert into waybill_outbox (type, topic, ${key}, payload) values ('shop.order.placed.v1', 'orders', ?, '{}')`, [
      `k${number % 10}`,
    ]);
  await application.end();
}

/** PostgreSQL has a process for each session; the others have threads. */
async function signalAll(server: StartedServer, signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
  const pid = server.pid();
  const children = pid === null ? "" : await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  await server.kill(signal);
  for (const child of children.split(" ").filter((text) => text !== "")) process.kill(Number(child), signal);
}

const distinct = (relay: StartedRelay): number => new Set(relay.sequences()).size;

/** Waits until the relay has published this many different messages; repetitions are allowed, a key's order is not up for discussion. */
async function hasPublished(relay: StartedRelay, count: number, deadlineMs: number): Promise<void> {
  await waitUntil(() => distinct(relay) >= count, { what: `${count} messages are published (${distinct(relay)} are)`, deadlineMs });
  expect(distinct(relay)).toBe(count);
  for (const numbers of firstPublications(relay.transport.received).values()) expect(isAscending(numbers)).toBe(true);
}

for (const { name, start, becomeReadOnly, becomeWritable } of kinds)
  describe(name, () => {
    let server: StartedServer;
    let own: TestDatabase;
    let fixture: RelayFixture;
    let end: () => Promise<void>;

    beforeAll(async () => {
      server = await start();
    }, startDeadlineMs);
    afterAll(() => server.stop());
    beforeEach(async () => {
      own = await testDatabase({ url: server.url });
      await makeTables(own.url);
      ({ fixture, end } = await openFixture(own.url));
    });
    afterEach(async () => {
      await end();
      await own.drop();
    });

    /** A relay that gives an unanswering server up soon, with its first hundred messages published. */
    const startRelay = async (): Promise<StartedRelay> => {
      const relay = fixture.start({ statementDeadlineMs: 1_000, outageBackoff: { firstMs: 50, maxMs: 3_200 } });
      await insertHundred(own.url);
      await hasPublished(relay, 100, 10_000);
      return relay;
    };
    /** What is appended as soon as the server takes it is published in time. */
    const goesOn = async (relay: StartedRelay): Promise<void> => {
      await insertHundred(own.url);
      await hasPublished(relay, 200, recoversWithinMs);
      expect(relay.relay.health()).toMatchObject({ state: "active", lastError: null });
    };

    test("it is killed, and comes back", async () => {
      const relay = await startRelay();
      await server.kill("SIGKILL");
      await relay.seen("relay.restarting");
      await server.restart();
      await goesOn(relay);
    });

    test("it freezes with every connection open, and thaws", async () => {
      const relay = await startRelay();
      await signalAll(server, "SIGSTOP");
      try {
        await relay.seen("relay.restarting");
      } finally {
        await signalAll(server, "SIGCONT");
      }
      await goesOn(relay);
    });

    test("an administrator ends every session", async () => {
      const relay = await startRelay();
      await fixture.endOthers();
      await relay.seen("relay.restarting");
      await goesOn(relay);
    });

    test("it has no connection left", async () => {
      const taken: Application[] = [];
      try {
        await expect(
          (async () => {
            for (;;) taken.push(await connectApplication(own.url));
          })(),
        ).rejects.toThrow();
        expect(taken.length).toBeGreaterThan(10);
        const relay = fixture.start({ outageBackoff: { firstMs: 50, maxMs: 3_200 } });
        await relay.seen("relay.restarting", { when: ({ code }) => code.startsWith("WAYBILL_DATABASE") });
        // Some sessions may find a place, and not all: what they opened is closed again.
        await Promise.all(taken.splice(0, 2).map((one) => one.end()));
        const before = relay.events.length;
        await relay.seen("relay.restarting", { after: before });
        await Promise.all(taken.splice(0).map((one) => one.end()));
        await insertHundred(own.url);
        await hasPublished(relay, 100, recoversWithinMs);
      } finally {
        await Promise.all(taken.map((one) => one.end()));
      }
    });

    test("it takes no writes for a while, as in a failover", async () => {
      const relay = await startRelay();
      const administrator = await connectApplication(server.url);
      try {
        for (const statement of becomeReadOnly) await administrator.run(statement);
        await fixture.endOthers();
        await relay.seen("relay.restarting", { when: ({ code }) => code === "WAYBILL_READ_ONLY" });
      } finally {
        for (const statement of becomeWritable) await administrator.run(statement);
        await administrator.end();
      }
      await goesOn(relay);
    });
  });

describe("postgres behind a PgBouncer in transaction mode", () => {
  let server: StartedServer;
  let pooler: StartedServer;
  let own: TestDatabase;
  let fixture: RelayFixture;
  let end: () => Promise<void>;

  beforeAll(async () => {
    server = await startPostgres();
    own = await testDatabase({ url: server.url });
    await makeTables(own.url);
    pooler = await startPgbouncer({ target: own.url, poolSize: 3 });
    ({ fixture, end } = await openFixture(own.url));
  }, startDeadlineMs);
  afterAll(async () => {
    await end();
    await pooler.stop();
    await own.drop();
    await server.stop();
  });

  test("a relay works on fewer server connections than it opens, over restarts of both", async () => {
    const database = openDatabase({ url: pooler.url });
    try {
      const probe = await database.connect({ purpose: "probe" });
      expect(probe.isPooled).toBe(true);
      await probe.close();
      const relay = fixture.start({ database, statementDeadlineMs: 1_000, outageBackoff: { firstMs: 50, maxMs: 3_200 } });
      // The application comes by the pooler as well, with holes and a slow writer among what it does.
      const slow = await connectApplication(pooler.url);
      await slow.run("begin");
      await slow.run("insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', 'slow', '{}')");
      await insertHundred(pooler.url);
      await hasPublished(relay, 100, 10_000);
      await slow.run("commit");
      await hasPublished(relay, 101, 10_000);
      await slow.end();

      await pooler.kill("SIGKILL");
      await relay.seen("relay.restarting");
      await pooler.restart();
      await insertHundred(pooler.url);
      await hasPublished(relay, 201, recoversWithinMs);

      const before = relay.events.length;
      await server.kill("SIGKILL");
      await relay.seen("relay.restarting", { after: before });
      await server.restart();
      // Until the pooler has noticed, it refuses everybody, the application too.
      await waitUntil(
        async () =>
          await insertHundred(pooler.url).then(
            () => true,
            () => false,
          ),
        { what: "the pooler lets in", deadlineMs: 30_000 },
      );
      await waitUntil(() => distinct(relay) >= 301, { what: "all are published", deadlineMs: recoversWithinMs });
      expect(relay.relay.health()).toMatchObject({ state: "active", lastError: null });
      await relay.stop();
    } finally {
      await database.close({ deadlineMs: 1_000 });
    }
  });
});
