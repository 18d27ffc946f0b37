/**
 * What a database does at night, to a service in a process of its own: it is killed and comes back, its links go dark, it has no connection left.
 *
 *     under way ─▶ struck ─▶ every call 503 storage_unavailable; leases end ─▶ silence ─▶ mended ─▶ within 5 s prepares, deliveries and checks go on
 *
 * Nothing is acknowledged meanwhile, and what was acknowledged before is delivered afterwards by the same process.
 *
 * Each kind of server here is one that nobody else uses; one kind a run.
 */
import { newMessageId } from "@waybill/core";
import { type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import {
  connectSession,
  type FaultProxy,
  hasTurn,
  type Session,
  type SessionSql,
  type StartedServer,
  startFaultProxy,
  startMariadb,
  startMysql,
  startPostgres,
  type TestDatabase,
  testDatabase,
  waitUntil,
} from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { halfMessageMigrations } from "../src/index.ts";
import { type Arrivals, listenForArrivals } from "./arrivals.ts";
import { message } from "./half-message-fixture.ts";
import { type ServiceChild, startServiceChild } from "./service-child.ts";

const recoversWithinMs = 5_000;
/** Of the child's leases, and what a loaded machine needs from a call to its arrival. */
const leaseMs = 1_000;
const onItsWayMs = 500;
/** A server's first start may include its download. */
const startDeadlineMs = 600_000;
const backlog = 100;

interface Kind {
  readonly name: string;
  readonly start: () => Promise<StartedServer>;
  /** Makes the role `app`, which the service uses. */
  readonly makeRole: (database: string) => readonly string[];
  /** No further session for `app`. On MySQL the limit leaves it one, which the test takes. */
  readonly closeDoor: readonly string[];
  readonly openDoor: readonly string[];
  readonly sessions: SessionSql;
  readonly end: (id: unknown) => string;
}

const onMysql: Omit<Kind, "name" | "start"> = {
  makeRole: (database) => [
    "create user if not exists app@'%'",
    `grant select, insert, update, delete, create temporary tables on ${database}.* to app@'%'`,
  ],
  closeDoor: ["alter user app@'%' with max_user_connections 1"],
  openDoor: ["alter user app@'%' with max_user_connections 0"],
  sessions: "select id as id from information_schema.processlist where user = 'app'",
  end: (id) => `kill ${String(id)}`,
};

const kinds: readonly Kind[] = [
  {
    name: "postgres",
    start: () => startPostgres(),
    makeRole: () => [
      "do $$ begin create role app login; exception when duplicate_object then null; end $$",
      "grant all on all tables in schema public to app",
      "grant all on all sequences in schema public to app",
    ],
    closeDoor: ["alter role app connection limit 0"],
    openDoor: ["alter role app connection limit -1"],
    sessions: "select pid as id from pg_stat_activity where usename = 'app'",
    end: (id) => `select pg_terminate_backend(${String(id)})`,
  },
  { name: "mariadb", start: () => startMariadb(), ...onMysql },
  { name: "mysql", start: () => startMysql(), ...onMysql },
];

for (const { name, start, makeRole, closeDoor, openDoor, sessions, end } of kinds.filter((_, place) =>
  hasTurn("half-message outages", place, kinds.length),
))
  describe(name, () => {
    let server: StartedServer;
    let own: TestDatabase;
    let proxy: FaultProxy;
    let arrivals: Arrivals;
    let service: ServiceChild;
    let administrator: Session;

    beforeAll(async () => {
      server = await start();
    }, startDeadlineMs);
    afterAll(() => server.stop());
    beforeEach(async () => {
      own = await testDatabase({ url: server.url });
      await asOwner((database) => migrateUp(database, namespace(database.dialect), [halfMessageMigrations]));
      administrator = await connectSession(own.url);
      for (const statement of makeRole(own.name)) await administrator.run(statement);
      proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
      arrivals = await listenForArrivals();
      const url = new URL(proxy.url(own.url));
      url.username = "app";
      service = await startServiceChild({ url: url.href, destination: arrivals.url("/web"), checks: arrivals.url("/checks") });
    });
    afterEach(async () => {
      service.child.kill();
      await service.child.exited;
      await administrator.end().catch(() => undefined);
      await arrivals.close();
      await proxy.stop();
      await own.drop();
    });

    async function asOwner<T>(work: (database: Database) => Promise<T>): Promise<T> {
      const database = openDatabase({ url: own.url });
      try {
        return await work(database);
      } finally {
        await database.close();
      }
    }

    const unavailable = { status: 503, headers: { "retry-after": "1" }, body: { code: "storage_unavailable" } };
    const checks = (sinceMs: number): number => arrivals.all.filter(({ path, atMs }) => path === "/checks" && atMs > sinceMs).length;

    async function survives(strike: () => Promise<unknown>, mend: () => Promise<unknown>): Promise<void> {
      // Checks are in vain and come again; deliveries take so long that those of one claim outlast its lease.
      let replyAfterMs = 300;
      arrivals.reply = ({ url }, response) => {
        if (url === "/checks") response.writeHead(503).end();
        else setTimeout(() => response.end(), replyAfterMs);
      };
      const [undecided, toDecide, committed] = [newMessageId(), newMessageId(), newMessageId()];
      const sent = Array.from({ length: backlog }, (_, nth) => `${committed}-${nth}`);
      for (const id of [undecided, toDecide]) expect(await service.prepare(id)).toMatchObject({ status: 201 });
      const many = sent.map((id) => message({ id, key: null }));
      expect(await service.prepare(committed, many)).toMatchObject({ status: 201 });
      expect(await service.commit(committed)).toMatchObject({ status: 200, body: { changed: true } });
      const before = (): ReadonlySet<string> => new Set(arrivals.ids("/web"));
      // The first goes alone, to prove the destination; all others are one claim.
      await waitUntil(() => before().size > 1 && checks(0) > 0, { what: "deliveries and checks are under way" });

      await strike();
      const struckMs = performance.now();
      const refused: string[] = [];
      await waitUntil(
        async () => {
          const id = newMessageId();
          refused.push(id);
          const answers = await Promise.all([service.prepare(id), service.commit(toDecide), service.show(committed)]);
          for (const answer of answers) expect(answer).toMatchObject(unavailable);
          return performance.now() - struckMs > leaseMs + onItsWayMs + 2_000;
        },
        { what: "the leases have ended", deadlineMs: 60_000, intervalMs: 100 },
      );
      expect(arrivals.all.filter(({ atMs }) => atMs > struckMs + leaseMs + onItsWayMs)).toEqual([]);
      expect(before().size).toBeLessThan(backlog);
      replyAfterMs = 0;

      await mend();
      const mendedMs = performance.now();
      const soon = { deadlineMs: recoversWithinMs, intervalMs: 50 };
      const [probe] = await Promise.all([
        (async () => {
          const id = newMessageId();
          await waitUntil(async () => [200, 201].includes((await service.prepare(id))?.status ?? 0), {
            ...soon,
            what: "a prepare is stored",
          });
          await waitUntil(async () => (await service.commit(id))?.status === 200, { ...soon, what: "and decided" });
          return id;
        })(),
        waitUntil(() => checks(mendedMs) > 0, { ...soon, what: "a check is made" }),
        waitUntil(() => arrivals.all.some(({ path, atMs }) => path === "/web" && atMs > mendedMs), { ...soon, what: "a delivery is made" }),
      ]);
      // The whole pool is well: more at once than it has connections.
      expect((await Promise.all(refused.slice(0, 40).map((id) => service.prepare(id)))).map((answer) => answer?.status ?? 0)).toEqual(
        refused.slice(0, 40).map(() => expect.toBeOneOf([200, 201])),
      );
      expect(await service.commit(toDecide)).toMatchObject({ status: 200, body: { state: "committed" } });
      await waitUntil(() => [...sent, probe, toDecide].every((id) => before().has(id)), { what: "all that was committed is delivered" });
      expect(await service.show(undecided)).toMatchObject({ status: 200, body: { state: "prepared" } });
      // Nobody was sent what nobody has committed.
      expect(before().size).toBe(backlog + 2);
      expect(await service.stop()).toEqual({ code: 0, signal: null });
    }

    test("it is killed, and comes back", async () => {
      await survives(
        () => server.kill("SIGKILL"),
        () => server.restart(),
      );
    });

    test("every link to it goes dark, old ones and new ones, and lights up again", async () => {
      const hole = { kind: "blackHole" } as const;
      await survives(
        async () => proxy.inject(hole),
        async () => proxy.heal(),
      );
    });

    test("it has no connection left for the service, and then has", async () => {
      const app = new URL(own.url);
      app.username = "app";
      let last: Session | null = null;
      await survives(
        async () => {
          for (const statement of closeDoor) await administrator.run(statement);
          await waitUntil(
            async () => {
              for (const { id } of await administrator.run(sessions)) await administrator.run(end(id)).catch(() => undefined);
              if (administrator.dialect === "mysql") last = await connectSession(app.href).catch(() => null);
              return administrator.dialect === "postgres" || last !== null;
            },
            { what: "the service has no session" },
          );
        },
        async () => {
          for (const statement of openDoor) await administrator.run(statement);
          await last?.end();
        },
      );
    });
  });
