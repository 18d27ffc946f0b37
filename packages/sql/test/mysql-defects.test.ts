/**
 * What mysql2, MySQL and MariaDB are known to do to a transaction, each shown against the real servers together with our defence. Numbers as in
 * the table of the README. Those without a test here have one beside the code: M10–M13 and X5 in src; M6 in commit-outcome.test.ts.
 */
import { isWaybillError, systemClock, type WaybillEvent } from "@waybill/core";
import { type FaultProxy, forEachMysql, startFaultProxy, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import knex, { type Knex } from "knex";
import type { Connection as CallbackConnection } from "mysql2";
import mysql from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Database,
  type DatabaseOptions,
  inspectServer,
  type Outcome,
  type OwnedTx,
  openDatabase,
  type Tx,
  toTx,
} from "../src/index.ts";
import { type DriverOptions, loadDriver } from "../src/mysql/driver.ts";
import { killSession } from "../src/mysql/kill-session.ts";
import { wordsOf } from "./dialect-words.ts";

await forEachMysql((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let proxy: FaultProxy;
    let direct: Database;
    const opened: Database[] = [];
    /** Connections of the application, ended with the test whatever becomes of it: nobody's lock may outlive it. */
    const guests: mysql.Connection[] = [];
    const guest = async (): Promise<mysql.Connection> => {
      const connection = await mysql.createConnection(own.url);
      guests.push(connection);
      return connection;
    };
    const events: WaybillEvent[] = [];
    const words = wordsOf(server);
    const isMaria = server.name.startsWith("mariadb");
    const operation = "test";

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      const { hostname, port } = new URL(own.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      direct = openDatabase({ url: own.url, connections: 2 });
      await direct.execute("create table entry (id varchar(40) primary key, number integer not null default 0) engine = InnoDB", []);
    });
    beforeEach(async () => {
      await direct.execute("delete from entry", []);
      events.length = 0;
    });
    afterEach(async () => {
      proxy.heal();
      for (const connection of guests.splice(0)) connection.destroy();
      await Promise.all(opened.splice(0).map((database) => database.close({ deadlineMs: 500 })));
    });
    afterAll(async () => {
      await direct.close();
      await proxy.stop();
      await own.drop();
    });

    const open = (options: Partial<DatabaseOptions> = {}): Database => {
      const database = openDatabase({ url: own.url, onEvent: (event) => void events.push(event), ...options });
      opened.push(database);
      return database;
    };
    const entries = async (): Promise<readonly unknown[]> => (await direct.queryText("select id from entry order by id", [])).flat();
    const insert = (tx: OwnedTx, id: string) => tx.execute("insert into entry (id) values (?)", [id]);
    const failure = async (promise: PromiseLike<unknown>): Promise<unknown> => {
      try {
        await promise;
        return "no error";
      } catch (error) {
        return error;
      }
    };
    const errorOf = (outcome: Outcome<unknown>): Error => {
      if (outcome.kind === "committed") throw new Error("It was committed.");
      return outcome.error;
    };
    /** Somebody who holds the rows of `entry` with this id until told to let go. */
    const holder = async (id: string): Promise<{ letGo: () => Promise<void> }> => {
      const connection = await guest();
      await connection.beginTransaction();
      await connection.query("update entry set number = number + 1 where id = ?", [id]);
      return {
        letGo: async () => {
          await connection.rollback();
          await connection.end();
        },
      };
    };

    test("a statement that is given up ends on the server, and with it what its transaction had locked", async () => {
      await direct.execute("insert into entry (id) values ('one'), ('two')", []);
      const holder = await guest();
      await holder.query("begin");
      await holder.query("update entry set number = 1 where id = 'two'");
      const outcome = await open().unitOfWork(
        async (tx) => {
          await tx.execute("update entry set number = 2 where id = 'one'", []);
          await tx.execute("update entry set number = 2 where id = 'two'", []);
        },
        { operation, deadlineMs: 1_000 },
      );
      expect(outcome).toMatchObject({ kind: "rolledBack", error: { code: "WAYBILL_DEADLINE" } });
      // Without being killed it would wait for the second row, and keep the first, until the server's own limit.
      await waitUntil(
        async () => {
          const answer = await failure(holder.query("select id from entry where id = 'one' for update nowait"));
          return answer === "no error";
        },
        { what: "the first row is free" },
      );
      await holder.query("rollback");
    });

    test("a session is killed only if it comes from our own port: its number may be somebody else's on another server", async () => {
      const sleeper = await guest();
      const raw = (sleeper as unknown as { readonly connection: CallbackConnection & { readonly stream: { readonly localPort: number } } })
        .connection;
      const { hostname, port, username, password } = new URL(own.url);
      const connecting = { host: hostname, port: Number(port), user: username, password } as DriverOptions;
      const driver = await loadDriver();
      const kill = (localPort: number): Promise<void> =>
        killSession(driver, connecting, { threadId: raw.threadId ?? 0, localPort }, systemClock);
      await kill(raw.stream.localPort === 1 ? 2 : 1);
      await sleeper.query("select 1");
      await kill(raw.stream.localPort);
      expect(await failure(sleeper.query("select 1"))).not.toBe("no error");
    });

    test("M1 mysql2's own timeout leaves a connection that answers nobody; our deadline destroys it and the next caller gets an answer", async () => {
      const pool = mysql.createPool({ uri: proxy.url(own.url), connectionLimit: 1 });
      const database = open({ url: proxy.url(own.url), connections: 1 });
      await pool.query("select 1");
      await database.query("select 1", []);
      const hole = proxy.inject({ kind: "blackHole" });
      await failure(pool.query({ sql: "select 1", timeout: 100 }));
      const late = await failure(database.query("select 1", [], { deadlineMs: 100 }));
      expect(isWaybillError(late, "WAYBILL_DEADLINE")).toBe(true);
      expect(hole.fired).toBe(2);
      expect(events).toEqual([{ name: "sql.connectionLost", code: "WAYBILL_DEADLINE" }]);
      proxy.heal();
      expect(await database.queryText("select 1", [])).toEqual([["1"]]);
      // What the driver's pool has left cannot be relied on; it is destroyed with its sockets.
      const { pool: inner } = pool as unknown as { pool: { _allConnections: { toArray(): { destroy(): void }[] } } };
      for (const connection of inner._allConnections.toArray()) connection.destroy();
    });

    test("M2 a lock wait that ran out undoes one statement only: the unit keeps nothing, although its work swallowed the error", async () => {
      await direct.execute("insert into entry (id) values ('held')", []);
      const { letGo } = await holder("held");
      const outcome = await open().unitOfWork(
        async (tx) => {
          await tx.query("set session innodb_lock_wait_timeout = 1", []);
          await insert(tx, "first half");
          await tx.execute("update entry set number = 5 where id = 'held'", []).catch(() => undefined);
          await insert(tx, "second half").catch(() => undefined);
          return "looks fine";
        },
        { operation, repetitionsMax: 0 },
      );
      await letGo();
      expect(outcome.kind).toBe("rolledBack");
      expect(errorOf(outcome)).toMatchObject({ code: "WAYBILL_UNIT_POISONED", cause: { facts: { errno: 1205, isTransient: true } } });
      expect(await entries()).toEqual(["held"]);
    });

    test("M2 the whole unit is run again after a lock wait that ran out, and then all of it is kept", async () => {
      await direct.execute("insert into entry (id) values ('held')", []);
      const { letGo } = await holder("held");
      let runs = 0;
      const outcome = await open().unitOfWork(
        async (tx) => {
          runs++;
          await tx.query(`set session innodb_lock_wait_timeout = ${runs === 1 ? 1 : 20}`, []);
          if (runs === 2) await letGo();
          await insert(tx, `half of ${runs}`);
          await tx.execute("update entry set number = 5 where id = 'held'", []);
        },
        { operation, deadlineMs: 60_000 },
      );
      expect(outcome.kind).toBe("committed");
      expect(runs).toBe(2);
      expect(events).toContainEqual({ name: "sql.unitRepeated", sqlState: "HY000", errno: 1205, attempt: 1 });
      expect(await entries()).toEqual(["half of 2", "held"]);
    });

    /** Lets two transactions lock a and b crosswise; answers once one of them has lost. `first` is made the cheaper one to undo. */
    const deadlock = async (first: (sql: string) => Promise<unknown>): Promise<() => Promise<void>> => {
      const other = await guest();
      await other.beginTransaction();
      // Whoever has changed fewer rows loses.
      await other.query("insert into entry (id) values ('x1'), ('x2'), ('x3'), ('x4'), ('x5')");
      await other.query("update entry set number = 1 where id = 'b'");
      await first("update entry set number = 2 where id = 'a'");
      const crossing = other.query("update entry set number = 1 where id = 'a'");
      crossing.catch(() => undefined);
      const waiting = "select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and trx_mysql_thread_id = ?";
      await waitUntil(async () => (await direct.query(waiting, [other.threadId])).length > 0, {
        what: "the other one waits",
        // The server renews this view only if nobody has looked at it for a tenth of a second.
        intervalMs: 250,
        deadlineMs: 30_000,
      });
      const lost = await failure(first("update entry set number = 2 where id = 'b'"));
      if (!isDeadlock(lost)) throw new Error("It was meant to lose.", { cause: lost });
      await crossing;
      return async () => {
        await other.rollback();
        await other.end();
      };
    };
    const isDeadlock = (error: unknown): boolean =>
      (error as { errno?: number }).errno === 1213 || (isWaybillError(error, "WAYBILL_DATABASE") && error.facts.errno === 1213);

    test("M3 after a deadlock the session is in autocommit: no further statement of the unit is sent, so none survives", async () => {
      await direct.execute("insert into entry (id) values ('a'), ('b')", []);
      let end = (): Promise<void> => Promise.resolve();
      const outcome = await open().unitOfWork(
        async (tx) => {
          end = await deadlock((sql) => tx.execute(sql, []));
          await insert(tx, "ghost").catch(() => undefined);
          return "looks fine";
        },
        { operation, repetitionsMax: 0 },
      );
      await end();
      expect(outcome.kind).toBe("rolledBack");
      expect(await entries()).toEqual(["a", "b"]);
    });

    test.each(["mysql2", "knex"])("M3 through %s, too, nothing of ours joins a transaction that a deadlock has ended", async (library) => {
      await direct.execute("insert into entry (id) values ('a'), ('b')", []);
      const ghost = "insert into entry (id) values ('ghost')";
      if (library === "mysql2") {
        const connection = await guest();
        await connection.beginTransaction();
        const tx = toTx(connection);
        const end = await deadlock((sql) => connection.query(sql));
        expect(await failure(tx.query(ghost, []))).toMatchObject({ code: "WAYBILL_NOT_IN_TRANSACTION", facts: { handle: "autocommit" } });
        await end();
        await connection.end();
      } else {
        const shop = knex({ client: "mysql2", connection: own.url });
        const trx = await shop.transaction();
        const end = await deadlock(async (sql) => trx.raw(sql));
        expect(await failure(toTx(trx).query(ghost, []))).toMatchObject({
          code: "WAYBILL_NOT_IN_TRANSACTION",
          facts: { handle: "autocommit" },
        });
        await trx.rollback();
        await end();
        await shop.destroy();
      }
      expect(await entries()).toEqual(["a", "b"]);
    });

    test("M3 what the driver was told last is no answer: the error that ends a transaction says nothing of it, and the server has to be asked", async () => {
      await direct.execute("insert into entry (id) values ('a'), ('b')", []);
      const statusOf = (answer: unknown): number => (answer as [{ serverStatus: number }])[0].serverStatus & 1;
      const connection = await guest();
      await connection.beginTransaction();
      const told: (number | null)[] = [];
      const end = await deadlock(async (sql) => {
        try {
          const answer = await connection.query(sql);
          told.push(statusOf(answer));
          return answer;
        } catch (error) {
          told.push((error as { serverStatus?: number }).serverStatus ?? null);
          throw error;
        }
      });
      expect(told).toEqual([1, null]);
      expect(statusOf(await connection.query("do 0"))).toBe(0);
      await end();
      await connection.end();
    });

    test("M5 a pooled connection that died unnoticed: BEGIN finds out, and the unit is run on another one", async () => {
      const database = open({ url: proxy.url(own.url), connections: 1 });
      await database.query("select 1", []);
      const fault = proxy.inject({ kind: "cut", at: "beforeRequest", pattern: "begin" });
      const outcome = await database.unitOfWork((tx) => insert(tx, "a"), { operation });
      expect(fault.fired).toBe(1);
      expect(outcome.kind).toBe("committed");
      expect(await entries()).toEqual(["a"]);
    });

    test("M5 a single statement that was on its way is an error of which nobody knows whether it happened, and is never sent again", async () => {
      const database = open({ url: proxy.url(own.url), connections: 1 });
      await database.query("select 1", []);
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "insert into entry" });
      const error = await failure(database.execute("insert into entry (id) values ('a')", []));
      expect(fault.fired).toBe(1);
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts).toMatchObject({ errno: null, isTransient: true });
      expect(await entries()).toEqual(["a"]);
    });

    test("M7 NOWAIT is told by another number on each server, and asks nobody to repeat; SKIP LOCKED skips", async () => {
      await direct.execute("insert into entry (id) values ('a'), ('b')", []);
      const { letGo } = await holder("a");
      const error = await failure(direct.query("select id from entry where id = 'a' for update nowait", []));
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts).toMatchObject({ errno: isMaria ? 1205 : 3572, isTransient: true });
      expect(await direct.queryText("select id from entry order by id for update skip locked", [])).toEqual([["b"]]);
      await letGo();
    });

    test("M8 a unit sees what others commit meanwhile, and a compare-and-set tells by its rows that it lost", async () => {
      await direct.execute("insert into entry (id) values ('a')", []);
      const outcome = await open().unitOfWork(
        async (tx) => {
          const before = await tx.query("select number from entry where id = 'a'", []);
          await direct.execute("update entry set number = 7 where id = 'a'", []);
          const after = await tx.query("select number from entry where id = 'a'", []);
          const lost = await tx.execute("update entry set number = 1 where id = 'a' and number = 0", []);
          const won = await tx.execute("update entry set number = 8 where id = 'a' and number = 7", []);
          // Found, not changed: mysql2 asks the server to count so.
          const unchanged = await tx.execute("update entry set number = 8 where id = 'a'", []);
          return [before[0]?.["number"], after[0]?.["number"], lost, won, unchanged];
        },
        { operation },
      );
      expect(outcome).toEqual({ kind: "committed", value: [0, 7, 0, 1, 1] });
    });

    test("M9 the isolation is told by both servers, whatever they call it", async () => {
      const report = await inspectServer(direct);
      expect(report.facts).toMatchObject({ transaction_isolation: "REPEATABLE-READ" });
      expect(report.facts).not.toHaveProperty("tx_isolation");
      expect([report.dialect, report.product, report.version.startsWith(server.version)]).toEqual([
        "mysql",
        isMaria ? "MariaDB" : "MySQL",
        true,
      ]);
      expect(report.findings.filter(({ level }) => level === "refused")).toEqual([]);
    });

    test("M9 a table of ours without transactions is refused by name", async () => {
      await direct.execute("create table waybill_old (id integer) engine = MyISAM", []);
      const { findings } = await inspectServer(direct, { dialect: "mysql", schema: null, prefix: "waybill_" });
      expect(findings.filter(({ rule }) => rule === "engine").map(({ level, found }) => [level, found])).toEqual([
        ["refused", "waybill_old: MyISAM"],
      ]);
      await direct.execute("drop table waybill_old", []);
    });

    test.runIf(isMaria)(
      "M14 a wait for the table's counter that runs out is answered with 1467, and the whole unit is run again",
      async () => {
        expect((await inspectServer(direct)).facts).toMatchObject({ innodb_autoinc_lock_mode: "1" });
        await direct.execute("create table counted (id integer auto_increment primary key, word varchar(20)) engine = InnoDB", []);
        const bulk = await guest();
        await bulk.beginTransaction();
        await direct.execute("insert into entry (id) values ('a'), ('b')", []);
        // INSERT … SELECT holds the counter's lock from its first row to its end; the second row takes its time.
        const holding = bulk.query("insert into counted (word) select if(id = 'a', id, concat(id, sleep(4))) from entry order by id");
        const inserting = "select 1 from information_schema.processlist where id = ? and state = 'User sleep'";
        await waitUntil(async () => (await direct.query(inserting, [bulk.threadId])).length > 0, { what: "the bulk insert has begun" });
        const database = open();
        let runs = 0;
        const outcome = await database.unitOfWork(
          async (tx) => {
            runs++;
            await tx.query(`set session innodb_lock_wait_timeout = ${runs === 1 ? 1 : 30}`, []);
            await tx.execute("insert into counted (word) values ('ours')", []);
          },
          { operation, deadlineMs: 60_000 },
        );
        await holding;
        await bulk.rollback();
        await bulk.end();
        expect(outcome.kind).toBe("committed");
        expect(runs).toBeGreaterThan(1);
        expect(events).toContainEqual({ name: "sql.unitRepeated", sqlState: "HY000", errno: 1467, attempt: 1 });
        expect(await direct.queryText("select word from counted", [])).toEqual([["ours"]]);
      },
    );

    test("a duplicate key undoes its own statement: the very same one may be sent once more, any other poisons the unit", async () => {
      // The id that this statement makes is taken; when it is sent again it makes another one, as an automatic id would be.
      const taking = "insert into entry (id, number) select concat('x', count(*)), 1 from other where id > ?";
      await direct.execute("create table other (id integer primary key) engine = InnoDB", []);
      await direct.execute("insert into entry (id) values ('x0')", []);
      const forgiven = await open().unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          expect(await failure(tx.execute(taking, [0]))).toMatchObject({ facts: { errno: 1062 } });
          await direct.execute("insert into other values (1)", []);
          await tx.execute(taking, [0]);
          await insert(tx, "b");
        },
        { operation },
      );
      expect(forgiven.kind).toBe("committed");
      expect(await entries()).toEqual(["a", "b", "x0", "x1"]);
      const poisoned = await open().unitOfWork(
        async (tx) => {
          await insert(tx, "c");
          await tx.execute(taking, [0]).catch(() => undefined);
          await insert(tx, "d").catch(() => undefined);
        },
        { operation },
      );
      expect(poisoned.kind).toBe("rolledBack");
      expect(await entries()).toEqual(["a", "b", "x0", "x1"]);
    });

    test.each(["mysql2", "mysql2 with callbacks", "knex"])(
      "through %s, too, a duplicate key is told by its number and the very same statement may be sent once more",
      async (library) => {
        await direct.execute("drop table if exists other", []);
        await direct.execute("create table other (id integer primary key) engine = InnoDB", []);
        await direct.execute("insert into entry (id) values ('x0')", []);
        const taking = "insert into entry (id, number) select concat('x', count(*)), 1 from other where id > ?";
        const insertTwice = async (tx: Tx): Promise<void> => {
          await tx.query("insert into entry (id) values (?)", ["a"]);
          expect(await failure(tx.query(taking, [0]))).toMatchObject({
            code: "WAYBILL_DATABASE",
            facts: { errno: 1062, sqlState: "23000" },
          });
          await direct.execute("insert into other values (1)", []);
          await tx.query(taking, [0]);
          await tx.query("insert into entry (id) values (?)", ["b"]);
        };
        if (library === "knex") {
          const shop = knex({ client: "mysql2", connection: own.url });
          await shop.transaction(async (trx) => insertTwice(toTx(trx)), { isolationLevel: "read committed" });
          await shop.destroy();
        } else {
          const connection = await guest();
          await connection.query("set session transaction isolation level read committed");
          await connection.beginTransaction();
          await insertTwice(
            toTx(library === "mysql2" ? connection : (connection as unknown as { connection: CallbackConnection }).connection),
          );
          await connection.commit();
          await connection.end();
        }
        expect(await entries()).toEqual(["a", "b", "x0", "x1"]);
      },
    );

    describe("knex", () => {
      let shop: Knex;
      beforeEach(() => {
        shop = knex({ client: "mysql2", connection: proxy.url(own.url), pool: { min: 0, max: 1 } });
      });
      afterEach(() => shop.destroy());

      test("X1 after a failed statement of ours that was swallowed, the transaction takes no other", async () => {
        await direct.execute("insert into entry (id) values ('x')", []);
        const seen: unknown[] = [];
        await shop.transaction(async (trx) => {
          const tx = toTx(trx);
          await tx.query("select nothing from nowhere", []).catch(() => undefined);
          seen.push(await failure(tx.query("insert into entry (id) values (?)", ["y"])));
          seen.push(await failure((async () => toTx(trx).query("insert into entry (id) values (?)", ["z"]))()));
        });
        expect(seen).toMatchObject([{ code: "WAYBILL_UNIT_POISONED" }, { code: "WAYBILL_UNIT_POISONED" }]);
        expect(await entries()).toEqual(["x"]);
      });

      test("X2 an explicit commit() resolves although its connection died; executionPromise tells, and so does the handler form", async () => {
        const trx = await shop.transaction();
        await toTx(trx).query("insert into entry (id) values (?)", ["explicit"]);
        const cut = proxy.inject({ kind: "cut", at: "beforeRequest", pattern: words.commit });
        await trx.commit();
        expect(cut.fired).toBe(1);
        expect(await failure(trx.executionPromise)).toBeInstanceOf(Error);
        cut.lift();
        const again = proxy.inject({ kind: "cut", at: "beforeRequest", pattern: words.commit });
        const handled = shop.transaction(async (inner) => {
          await toTx(inner).query("insert into entry (id) values (?)", ["handled"]);
        });
        expect(await failure(handled)).toBeInstanceOf(Error);
        expect(again.fired).toBe(1);
        expect(await entries()).toEqual([]);
      });

      test("X3 a half-open connection wedges knex's pool; a connection of ours ends by its deadline and the next one works", async () => {
        const database = open({ url: proxy.url(own.url), connections: 1 });
        const trx = await shop.transaction();
        await database.query("select 1", []);
        const hole = proxy.inject({ kind: "blackHole" });
        let isSettled = false;
        const joined = toTx(trx).query("insert into entry (id) values (?)", ["a"]);
        joined.then(
          () => (isSettled = true),
          () => (isSettled = true),
        );
        const late = await failure(database.query("select 1", [], { deadlineMs: 300 }));
        expect(isWaybillError(late, "WAYBILL_DEADLINE")).toBe(true);
        expect(isSettled).toBe(false);
        expect(hole.fired).toBe(2);
        // What the application must do about its own: destroy the socket. Then it is told at once.
        proxy.cutAll();
        expect(isWaybillError(await failure(joined), "WAYBILL_DATABASE")).toBe(true);
        proxy.heal();
        expect(await database.queryText("select 1", [])).toEqual([["1"]]);
        await failure(trx.rollback());
        await failure(trx.executionPromise);
      });

      test("X4 a nested transaction is joined as its own savepoint: undone with it, and kept with the outer one", async () => {
        await shop.transaction(async (trx) => {
          await toTx(trx).query("insert into entry (id) values (?)", ["outer"]);
          await failure(
            trx.transaction(async (inner) => {
              await toTx(inner).query("insert into entry (id) values (?)", ["inner"]);
              throw new Error("no");
            }),
          );
        });
        expect(await entries()).toEqual(["outer"]);
      });
    });
  }),
);
