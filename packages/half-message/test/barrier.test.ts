import { isWaybillError } from "@waybill/core";
import { type Connection, type Database, openDatabase } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import knex from "knex";
import mysql from "mysql2/promise";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Barrier } from "../src/index.ts";
import { asked, type BarrierFixture, barrierFixture, newId } from "./barrier-fixture.ts";

/** It is 1.5 s where nothing else runs; without a limit of ours a fence would wait for as long as the transaction stays open. */
const barrierWaitMsMax = process.env.CI === "true" ? 15_000 : 1_500;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: BarrierFixture;
    let barrier: Barrier;
    let identity: string;
    const isPostgres = server.dialect === "postgres";
    const onPostgres = test.runIf(isPostgres);
    const onMysql = test.runIf(!isPostgres);
    /** Every library's transaction at every isolation level. */
    const libraries = isPostgres ? (["pg", "knex"] as const) : (["mysql2", "mysql2 with callbacks", "knex"] as const);
    const isolations = [...(isPostgres ? [] : ["read uncommitted"]), "read committed", "repeatable read", "serializable"];
    const ways = libraries.flatMap((library) => isolations.map((isolation) => ({ library, isolation })));
    const own = libraries[0];
    const now = isPostgres ? "clock_timestamp()" : "utc_timestamp(6)";

    beforeAll(async () => {
      fixture = await barrierFixture(server);
      barrier = fixture.barrier().barrier;
      identity = await barrier.identity();
    });
    beforeEach(async () => {
      await fixture.query("delete from waybill_barrier");
      await fixture.query("delete from payment");
      await fixture.query("update waybill_barrier_horizon set purged_before = '1970-01-01 00:00:00'");
    });
    afterAll(() => fixture.close());

    const settle = async (id: string, by: Barrier = barrier, ageMs = 10): Promise<string> => {
      const fate = (await by.settle([asked(id, ageMs)])).fates.get(id);
      return fate?.kind === "pending" ? `pending: ${fate.why}` : String(fate?.kind);
    };
    const codeOf = async (act: () => Promise<unknown>): Promise<string> => {
      try {
        await act();
        return "none";
      } catch (error) {
        if (!isWaybillError(error)) return String(error);
        if (isWaybillError(error, "WAYBILL_NOT_IN_TRANSACTION")) return error.facts.handle;
        if (isWaybillError(error, "WAYBILL_DATABASE")) return String(error.facts.sqlState);
        return error.code;
      }
    };
    /** The same database, with something done to its own connections. */
    const withConnections = (change: (connection: Connection) => Partial<Connection>): Database => ({
      ...fixture.database,
      connect: async (options) => {
        const connection = await fixture.database.connect(options);
        return { ...connection, ...change(connection) };
      },
    });

    describe.each(ways)("in a transaction of $library at $isolation", ({ library, isolation }) => {
      test("what joined and committed is committed, for ever", async () => {
        const id = newId();
        const open = await fixture.begin(library, isolation);
        await barrier.join(open.handle, { id, identity });
        await open.say("insert into payment (id) values ('a')");
        await open.commit();
        expect(await settle(id)).toBe("committed");
        expect(await settle(id)).toBe("committed");
        expect([await fixture.rows(), await fixture.payments()]).toEqual([{ [id]: "committed" }, 1]);
      });

      test("what joined and rolled back is rolled back, and fenced", async () => {
        const id = newId();
        const open = await fixture.begin(library, isolation);
        await barrier.join(open.handle, { id, identity });
        await open.say("insert into payment (id) values ('a')");
        await open.rollback();
        expect(await settle(id)).toBe("rolledBack");
        expect([await fixture.rows(), await fixture.payments()]).toEqual([{ [id]: "fenced" }, 0]);
      });

      test("while it is open the answer is pending, within 1.5 s, and it may still commit", async () => {
        const id = newId();
        const open = await fixture.begin(library, isolation);
        await barrier.join(open.handle, { id, identity });
        const fromMs = performance.now();
        expect(await settle(id)).toBe("pending: held");
        expect(performance.now() - fromMs).toBeLessThan(barrierWaitMsMax);
        await open.commit();
        expect(await settle(id)).toBe("committed");
      });

      test("after a fence it throws WAYBILL_FENCED and cannot commit a thing", async () => {
        const id = newId();
        expect(await settle(id)).toBe("rolledBack");
        const open = await fixture.begin(library, isolation);
        expect(await codeOf(() => barrier.join(open.handle, { id, identity }))).toBe("WAYBILL_FENCED");
        // On PostgreSQL even a swallowed error cannot end in a commit. On MySQL rolling back is the caller's part.
        if (library === "pg") expect(await open.commit()).toBe("ROLLBACK");
        else await open.rollback();
        expect(await settle(id)).toBe("rolledBack");
        expect(await fixture.rows()).toEqual({ [id]: "fenced" });
      });

      test("a fence made after its snapshot was taken keeps it out, too", async () => {
        const id = newId();
        const open = await fixture.begin(library, isolation);
        await open.say("select count(*) from payment");
        expect(await settle(id)).toBe("rolledBack");
        // A serialization failure may be tried again, and then meets the fence.
        expect(["WAYBILL_FENCED", "40001"]).toContain(await codeOf(() => barrier.join(open.handle, { id, identity })));
        await open.rollback();
        expect(await fixture.rows()).toEqual({ [id]: "fenced" });
      });

      test("a transaction of another database throws WAYBILL_WRONG_BARRIER, and nothing is written", async () => {
        const open = await fixture.begin(library, isolation);
        const code = await codeOf(() => barrier.join(open.handle, { id: newId(), identity: newId() }));
        expect(code).toBe("WAYBILL_WRONG_BARRIER");
        await open.commit();
        expect(await fixture.rows()).toEqual({});
      });

      test("one half message belongs to one transaction: a second one is fenced off", async () => {
        const id = newId();
        const [first, second] = [await fixture.begin(library, isolation), await fixture.begin(library, isolation)];
        await barrier.join(first.handle, { id, identity });
        const late = codeOf(() => barrier.join(second.handle, { id, identity }));
        await first.commit();
        expect(["WAYBILL_FENCED", "40001"]).toContain(await late);
        await second.rollback();
        expect(await settle(id)).toBe("committed");
      });
    });

    test("H22 the identity is the same after a restart, and join on another database's transaction writes nothing", async () => {
      const again = openDatabase({ url: fixture.place.url });
      const restarted = fixture.barrier({ database: again }).barrier;
      expect(await restarted.identity()).toBe(identity);
      const other = await barrierFixture(server);
      const open = await other.begin(own);
      expect(await codeOf(() => restarted.join(open.handle, { id: newId(), identity }))).toBe("WAYBILL_WRONG_BARRIER");
      await open.commit();
      expect(await other.rows()).toEqual({});
      expect(await other.barrier().barrier.identity()).not.toBe(identity);
      await other.close();
      await restarted.close();
      await again.close();
    });

    test("H28 ten checks in a row while the local transaction is open are pending within 1.5 s and use two connections at most", async () => {
      const id = newId();
      const open = await fixture.begin(own);
      await barrier.join(open.handle, { id, identity });
      let connections = 0;
      const counting = withConnections(() => {
        connections += 1;
        return {};
      });
      const checked = fixture.barrier({ database: counting }).barrier;
      for (let check = 0; check < 10; check++) {
        const fromMs = performance.now();
        expect(await settle(id, checked)).toBe("pending: held");
        expect(performance.now() - fromMs).toBeLessThan(barrierWaitMsMax);
      }
      const burst = await Promise.all(Array.from({ length: 10 }, () => settle(newId(), checked)));
      expect(new Set(burst)).toEqual(new Set(["rolledBack"]));
      expect(connections).toBeLessThanOrEqual(2);
      await open.rollback();
      expect(await settle(id, checked)).toBe("rolledBack");
    });

    test("a pool, a bare knex, a finished and a nested transaction are refused, and nothing is written", async () => {
      const half = { id: newId(), identity };
      const { url } = fixture.place;
      const shop = knex({ client: isPostgres ? "pg" : "mysql2", connection: url, pool: { min: 0, max: 2 } });
      const pool = isPostgres ? new pg.Pool({ connectionString: url }) : mysql.createPool(url);
      const join = (handle: unknown): Promise<string> => codeOf(() => barrier.join(handle as never, half));
      expect(await join(pool)).toBe("pool");
      expect(await join(fixture.database)).toBe("pool");
      expect(await join(shop)).toBe("knex");
      const trx = await shop.transaction();
      expect(await trx.transaction((nested) => join(nested))).toBe("nested");
      await trx.commit();
      expect(await join(trx)).toBe("finished");
      const open = await fixture.begin(own);
      await open.rollback();
      expect(await join(open.handle)).toBe("autocommit");
      expect(await fixture.rows()).toEqual({});
      await pool.end();
      await shop.destroy();
    });

    onPostgres("inside a savepoint join is refused: rolling back to it would take the row back and keep the rest", async () => {
      const open = await fixture.begin("pg");
      await open.say("insert into payment (id) values ('a')");
      await open.say("savepoint before");
      expect(await codeOf(() => barrier.join(open.handle, { id: newId(), identity }))).toBe("nested");
      await open.rollback();
    });

    test("a fence under way makes join wait: committed, it is WAYBILL_FENCED; rolled back, the transaction goes on", async () => {
      const outcomes: string[] = [];
      for (const end of ["commit", "rollback"] as const) {
        const id = newId();
        const fencing = await fixture.begin(own);
        await fencing.say(`insert into waybill_barrier (producer, id, fate) values ('payments', '${id}', 'fenced')`);
        const open = await fixture.begin(own);
        let isOver = false;
        const joined = codeOf(() => barrier.join(open.handle, { id, identity })).finally(() => {
          isOver = true;
        });
        // MySQL and MariaDB look anew only if nobody asked for 100 ms.
        await waitUntil(async () => isOver || (await fixture.waitsForLock(open)), { what: "join waits for the fence", intervalMs: 150 });
        outcomes.push(isOver ? "does not wait" : "waits");
        await fencing[end]();
        outcomes.push(await joined);
        await open.rollback();
      }
      expect(outcomes).toEqual(["waits", "WAYBILL_FENCED", "waits", "none"]);
    });

    test("of settles that wait for one transaction, none answers more than is true when it rolls back", async () => {
      for (let round = 0; round < 5; round++) {
        const id = newId();
        const open = await fixture.begin(own);
        await barrier.join(open.handle, { id, identity });
        const barriers = [1, 2, 3].map(() => fixture.barrier({ lockTimeoutMs: 1_500 }).barrier);
        await Promise.all(barriers.map((one) => one.identity()));
        const answers = barriers.map((one) => settle(id, one));
        await open.rollback();
        for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^(rolledBack|pending: (held|deadlock))$/);
        expect(await settle(id)).toBe("rolledBack");
      }
    });

    test("one open transaction keeps no other answer of its batch", async () => {
      const ids = Array.from({ length: 20 }, newId);
      const [openId, committedId] = [ids[7] as string, ids[11] as string];
      const open = await fixture.begin(own);
      await barrier.join(open.handle, { id: openId, identity });
      const done = await fixture.begin(own);
      await barrier.join(done.handle, { id: committedId, identity });
      await done.commit();
      const { fates, identity: named } = await barrier.settle(ids.map((id) => asked(id)));
      expect(named).toBe(identity);
      expect(fates.get(openId)).toEqual({ kind: "pending", why: "held" });
      expect(fates.get(committedId)).toEqual({ kind: "committed" });
      expect([...fates.values()].filter(({ kind }) => kind === "rolledBack")).toHaveLength(18);
      await open.rollback();
    });

    test("what was prepared before the horizon is expired and not fenced, and its neighbours are answered", async () => {
      const purging = fixture.barrier({ barrierRetentionMs: 7_200_000 }).barrier;
      expect(await purging.purge()).toBe(0);
      const [old, young, known] = [newId(), newId(), newId()];
      await fixture.query(`insert into waybill_barrier (producer, id, fate) values ('payments', '${known}', 'committed')`);
      const { fates } = await barrier.settle([asked(old, 3_700_000), asked(young, 3_000_000), asked(known, 10_000_000)]);
      expect(Object.fromEntries(fates)).toEqual({
        [old]: { kind: "expired" },
        [young]: { kind: "rolledBack" },
        [known]: { kind: "committed" },
      });
      expect(await fixture.rows()).toEqual({ [young]: "fenced", [known]: "committed" });
    });

    test("H21 purge takes rows older than the retention, of this producer only, and raises the horizon with them", async () => {
      const old = isPostgres ? "clock_timestamp() - interval '3 hours'" : "utc_timestamp(6) - interval 3 hour";
      const values = Array.from({ length: 1_500 }, (_, n) => `('payments', 'old-${n}', 'committed', ${old})`);
      await fixture.query(`insert into waybill_barrier (producer, id, fate, created_at) values ${values.join(", ")}`);
      await fixture.query(`insert into waybill_barrier (producer, id, fate, created_at) values ('others', 'old', 'committed', ${old})`);
      await fixture.query("insert into waybill_barrier (producer, id, fate) values ('payments', 'young', 'committed')");
      const purging = fixture.barrier({ barrierRetentionMs: 7_200_000 }).barrier;
      expect(await purging.purge()).toBe(1_500);
      expect(await fixture.rows()).toEqual({ old: "committed", young: "committed" });
      expect(await settle("old-3", barrier, 10_800_000)).toBe("expired");
      expect(await settle("young")).toBe("committed");
    });

    test("a transaction that commits and is purged while its check is answered is expired, never rolled back", async () => {
      const id = newId();
      const slow = withConnections((connection) => ({
        unitOfWork: async (work, unit) => {
          await fixture.query(`insert into waybill_barrier (producer, id, fate) values ('payments', '${id}', 'committed')`);
          await fixture.query("delete from waybill_barrier");
          await fixture.query(`update waybill_barrier_horizon set purged_before = ${now}`);
          return connection.unitOfWork(work, unit);
        },
      }));
      expect(await settle(id, fixture.barrier({ database: slow }).barrier)).toBe("expired");
      expect(await fixture.rows()).toEqual({});
    });

    test("settles of one id at once share one answer", async () => {
      let fences = 0;
      const counting = withConnections((connection) => ({
        unitOfWork: (work, unit) => {
          fences += 1;
          return connection.unitOfWork(work, unit);
        },
      }));
      const shared = fixture.barrier({ database: counting }).barrier;
      const id = newId();
      expect(await Promise.all([settle(id, shared), settle(id, shared), settle(id, shared)])).toEqual(Array(3).fill("rolledBack"));
      expect(fences).toBe(1);
    });

    test("a closed barrier answers pending and takes nothing", async () => {
      const closed = fixture.barrier().barrier;
      await closed.close();
      expect(await settle(newId(), closed)).toBe("pending: broken");
      expect(await codeOf(() => closed.identity())).toBe("WAYBILL_CONFIG_INVALID");
    });

    describe("in a database that is set up otherwise", () => {
      let odd: BarrierFixture;
      beforeAll(async () => {
        odd = await barrierFixture(server);
      });
      afterAll(() => odd.close());

      onPostgres("whatever the role's defaults are, a fence is durable, at READ COMMITTED, and waits only as long as it may", async () => {
        await odd.query("create table seen (name text, setting text)");
        await odd.query(`
          create function look() returns trigger language plpgsql as $$ begin
            insert into seen select name, current_setting(name)
            from unnest(array['synchronous_commit', 'transaction_isolation', 'lock_timeout']) as name; return new; end $$`);
        await odd.query("create trigger look before insert on waybill_barrier for each row execute function look()");
        for (const [name, value] of Object.entries({
          synchronous_commit: "off",
          default_transaction_isolation: "serializable",
          lock_timeout: "60000",
        })) {
          await odd.query(`alter database ${odd.place.name} set ${name} = '${value}'`);
        }
        expect(await settle(newId(), odd.barrier().barrier)).toBe("rolledBack");
        const seen = Object.fromEntries((await odd.query("select name, setting from seen")).map(({ name, setting }) => [name, setting]));
        expect(seen).toEqual({ synchronous_commit: "on", transaction_isolation: "read committed", lock_timeout: "300ms" });
        await odd.query("drop trigger look on waybill_barrier");
      });

      onPostgres("on a standby, which takes no writes, the answer is pending and nobody is called", async () => {
        await odd.query(`alter database ${odd.place.name} set default_transaction_read_only = on`);
        const standby = odd.barrier();
        expect(await settle(newId(), standby.barrier)).toBe("pending: passing");
        expect(standby.events).toEqual([]);
        await odd.query(`alter database ${odd.place.name} reset default_transaction_read_only`);
      });

      onMysql("tables of an engine without transactions are refused", async () => {
        await odd.query("alter table waybill_barrier_horizon engine = MyISAM");
        expect(await codeOf(() => odd.barrier().barrier.identity())).toBe("WAYBILL_CONFIG_INVALID");
        await odd.query("alter table waybill_barrier_horizon engine = InnoDB");
      });

      test("without its horizon, its identity or its table it answers pending, and says so", async () => {
        const answers: string[] = [];
        const broken = odd.barrier();
        expect(await settle(newId(), broken.barrier)).toBe("rolledBack");
        for (const table of ["waybill_barrier_horizon", "waybill_barrier_identity"]) {
          await odd.query(`delete from ${table}`);
          answers.push(await settle(newId(), broken.barrier));
        }
        await odd.query("drop table waybill_barrier");
        answers.push(await settle(newId(), broken.barrier));
        expect(answers).toEqual(Array(3).fill("pending: broken"));
        expect(broken.events.map(({ name }) => name)).toEqual(Array(3).fill("barrier.settleFailed"));
      });
    });
  }),
);
