import { isWaybillError, systemClock, type WaybillEvent } from "@waybill/core";
import { forEachDatabase, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, type Outcome, type OwnedTx, openDatabase } from "../src/index.ts";
import { openSession } from "../src/postgres/session.ts";
import { attemptUnit } from "../src/unit-of-work.ts";
import { wordsOf } from "./dialect-words.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let database: Database;
    const events: WaybillEvent[] = [];
    const operation = "test";
    const words = wordsOf(server);
    const onPostgres = test.runIf(server.dialect === "postgres");
    const onMysql = test.runIf(server.dialect === "mysql");

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      if (server.dialect === "postgres") {
        const setup = openDatabase({ url: own.url });
        await setup.query(`alter database ${own.name} set deadlock_timeout = '20ms'`, []);
        await setup.close();
      }
      database = openDatabase({ url: own.url, connections: 4, onEvent: (event) => void events.push(event) });
      await database.query(`create table entry (id ${words.key} primary key, count integer not null default 0)`, []);
    });
    beforeEach(async () => {
      await database.query("truncate entry", []);
      events.length = 0;
    });
    afterAll(async () => {
      await database.close();
      await own.drop();
    });

    const entries = async (): Promise<readonly unknown[]> => (await database.queryText("select id from entry order by id", [])).flat();
    const insert = (tx: OwnedTx, id: string) => tx.query(words.say("insert into entry (id) values (?)"), [id]);
    const errorOf = (outcome: Outcome<unknown>): Error => {
      if (outcome.kind === "committed") throw new Error("It was committed.");
      return outcome.error;
    };
    /** A place where a number of callers meet. */
    const meeting = (size: number): (() => Promise<void>) => {
      let arrived = 0;
      let open: () => void = () => undefined;
      const full = new Promise<void>((resolve) => {
        open = resolve;
      });
      return () => {
        arrived++;
        if (arrived === size) open();
        return full;
      };
    };

    test("what the work did is committed, and its answer is the value", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await insert(tx, "b");
          return "done";
        },
        { operation },
      );
      expect(outcome).toEqual({ kind: "committed", value: "done" });
      expect(await entries()).toEqual(["a", "b"]);
    });

    test("a statement that writes tells how many rows it wrote, found rows included", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => [
          await tx.execute("insert into entry (id) values ('a'), ('b')", []),
          await tx.execute("update entry set count = 0", []),
          await tx.execute("update entry set count = 1 where id = 'nobody'", []),
        ],
        { operation },
      );
      expect(outcome).toEqual({ kind: "committed", value: [2, 2, 0] });
      expect(await database.execute("delete from entry", [])).toBe(2);
    });

    test("an error of the work rolls back and is the outcome's error", async () => {
      const thrown = new Error("no stock");
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          throw thrown;
        },
        { operation },
      );
      expect(outcome).toEqual({ kind: "rolledBack", error: thrown });
      expect(await entries()).toEqual([]);
    });

    test("work that throws while its own statement hangs is rolled back soon, not at the unit's deadline", async () => {
      const startedMs = performance.now();
      const outcome = await database.unitOfWork(
        async (tx) => {
          tx.query(words.sleep(30), []).catch(() => undefined);
          throw new Error("no time for that");
        },
        { operation, deadlineMs: 30_000 },
      );
      expect(errorOf(outcome).message).toBe("no time for that");
      expect(performance.now() - startedMs).toBeLessThan(10_000);
    });

    test("work that throws before its first await rolls back, too", async () => {
      const outcome = await database.unitOfWork(
        () => {
          throw new Error("at once");
        },
        { operation },
      );
      expect(errorOf(outcome).message).toBe("at once");
    });

    test("a swallowed SQL error poisons the unit: later statements are refused, and nothing is committed", async () => {
      let second: unknown = null;
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.query(words.failing, []).catch(() => undefined);
          second = await insert(tx, "b").catch((error: unknown) => error);
          return "looks fine";
        },
        { operation },
      );
      expect(isWaybillError(second, "WAYBILL_UNIT_POISONED")).toBe(true);
      expect(outcome.kind).toBe("rolledBack");
      expect(isWaybillError(errorOf(outcome), "WAYBILL_UNIT_POISONED")).toBe(true);
      expect(errorOf(outcome).cause).toMatchObject({ facts: words.failingFacts });
      expect(await entries()).toEqual([]);
    });

    test("a savepoint does not heal a poisoned unit", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.query("savepoint here", []);
          await tx.query(words.failing, []).catch(() => undefined);
          await tx.query("rollback to savepoint here", []).catch(() => undefined);
          await insert(tx, "a").catch(() => undefined);
        },
        { operation },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(await entries()).toEqual([]);
    });

    test("a value that is none poisons the unit, though nothing was sent", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await insert(tx, undefined as unknown as string).catch(() => undefined);
        },
        { operation },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(await entries()).toEqual([]);
    });

    test("an error that the work throws on top of an SQL error is the one that is told", async () => {
      const thrown = new Error("my own reason");
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.query(words.failing, []).catch(() => {
            throw thrown;
          });
        },
        { operation },
      );
      expect(errorOf(outcome)).toBe(thrown);
    });

    test("stumbling over the poison tells the first error", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.query(words.failing, []).catch(() => undefined);
          await insert(tx, "a");
        },
        { operation },
      );
      expect(errorOf(outcome)).toMatchObject({ code: "WAYBILL_DATABASE", facts: words.failingFacts });
    });

    onPostgres("a COMMIT that PostgreSQL answers with ROLLBACK is rolledBack", async () => {
      const session = await openSession({ url: own.url, applicationName: "test", usualDeadlineMs: 5_000, clock: systemClock }, 5_000);
      const untilMs = systemClock.monotonicMs() + 5_000;
      const { outcome } = await attemptUnit(
        session,
        async (tx) => {
          await insert(tx, "a");
          // Behind the unit's back, so that it does not know of the error when it commits.
          await session.run("aside", { sql: "select 1/0" }, 1_000).catch(() => undefined);
        },
        { clock: systemClock, operation, byIndex: false, deadlineMs: 5_000, untilMs, beginDeadlineMs: 1_000 },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(isWaybillError(errorOf(outcome), "WAYBILL_UNIT_POISONED")).toBe(true);
      expect(await entries()).toEqual([]);
      expect(session.status()).toBe("I");
      await session.end(1_000);
    });

    onPostgres("a constraint that is checked at COMMIT rolls back, and says so", async () => {
      await database.query("create table later (id integer, constraint later_id unique (id) deferrable initially deferred)", []);
      const outcome = await database.unitOfWork((tx) => tx.query("insert into later values (1), (1)", []), { operation });
      expect(outcome.kind).toBe("rolledBack");
      expect(errorOf(outcome)).toMatchObject({ code: "WAYBILL_DATABASE", facts: { sqlState: "23505" } });
      expect(await database.query("select * from later", [])).toEqual([]);
    });

    test("a statement that nobody waited for is part of the unit, its error too", async () => {
      const committed = await database.unitOfWork(
        async (tx) => {
          insert(tx, "a").catch(() => undefined);
          await Promise.resolve();
        },
        { operation },
      );
      expect(committed.kind).toBe("committed");
      const failed = await database.unitOfWork(
        async (tx) => {
          insert(tx, "a").catch(() => undefined);
          await Promise.resolve();
        },
        { operation },
      );
      expect(failed.kind).toBe("rolledBack");
      expect(await entries()).toEqual(["a"]);
    });

    test("a statement after the end of the unit is refused and reaches nothing", async () => {
      let leaked: OwnedTx | null = null;
      await database.unitOfWork(
        async (tx) => {
          leaked = tx;
          await insert(tx, "a");
        },
        { operation },
      );
      const error = await insert(leaked as unknown as OwnedTx, "late").catch((caught: unknown) => caught);
      expect(isWaybillError(error, "WAYBILL_NOT_IN_TRANSACTION") && error.facts.handle).toBe("finished");
      expect(await entries()).toEqual(["a"]);
    });

    test("work that rolls back by itself is rolledBack, not committed", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.query("rollback", []).catch(() => undefined);
          await insert(tx, "b").catch(() => undefined);
        },
        { operation },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(await entries()).toEqual([]);
    });

    test.runIf(server.dialect === "postgres").each(["waited for", "not waited for"])(
      "work that commits by itself, %s, ends unknown: part of it is kept",
      async (manner) => {
        const outcome = await database.unitOfWork(
          async (tx) => {
            await insert(tx, "a");
            const committing = tx.query("commit", []);
            committing.catch(() => undefined);
            if (manner === "waited for") await committing;
          },
          { operation },
        );
        expect(outcome.kind).toBe("unknown");
        expect(await entries()).toEqual(["a"]);
      },
    );

    onMysql.each([
      "create table another (id integer)",
      "  -- a remark\n  truncate entry",
      "begin",
      "commit and chain",
      "rollback",
      "set autocommit = 0",
      "lock tables entry write",
    ])("work that would end its transaction by itself is refused before it is sent: %s", async (sql) => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.query(sql, []).catch(() => undefined);
        },
        { operation },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(errorOf(outcome).cause).toMatchObject({ code: "WAYBILL_NOT_IN_TRANSACTION" });
      expect(await entries()).toEqual([]);
    });

    onMysql("work that ends its transaction where nobody can see it beforehand ends unknown: part of it is kept", async () => {
      await database.execute("create procedure end_it() commit", []);
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.query("call end_it()", []);
        },
        { operation },
      );
      expect(outcome.kind).toBe("unknown");
      expect(await entries()).toEqual(["a"]);
    });

    onMysql("a temporary table and a savepoint are the unit's own business", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.execute("create temporary table aside (id integer)", []);
          await tx.query("savepoint here", []);
          await insert(tx, "b");
          await tx.query("rollback to savepoint here", []);
          await tx.execute("drop temporary table aside", []);
        },
        { operation },
      );
      expect(outcome.kind).toBe("committed");
      expect(await entries()).toEqual(["a"]);
    });

    test("work that never ends is given up at the unit's deadline, rolled back, and cannot act any more", async () => {
      let resume: () => void = () => undefined;
      let late: Promise<unknown> = Promise.resolve();
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await new Promise<void>((resolve) => {
            resume = resolve;
          });
          late = insert(tx, "b").catch((error: unknown) => error);
          await late;
        },
        { operation, deadlineMs: 150 },
      );
      expect(isWaybillError(errorOf(outcome), "WAYBILL_DEADLINE") && outcome.kind).toBe("rolledBack");
      resume();
      await Promise.resolve();
      expect(isWaybillError(await late, "WAYBILL_NOT_IN_TRANSACTION")).toBe(true);
      expect(await entries()).toEqual([]);
      expect(events).toEqual([{ name: "sql.connectionLost", code: "WAYBILL_DEADLINE" }]);
    });

    test("a statement that hangs ends the unit at its deadline, rolled back", async () => {
      const outcome = await database.unitOfWork(
        async (tx) => {
          await insert(tx, "a");
          await tx.query(words.sleep(60), []);
        },
        { operation, deadlineMs: 150 },
      );
      expect(isWaybillError(errorOf(outcome), "WAYBILL_DEADLINE") && outcome.kind).toBe("rolledBack");
      expect(await entries()).toEqual([]);
    });

    test("a deadlock runs the whole of the unlucky unit again, and both commit", async () => {
      await database.query("insert into entry (id) values ('a'), ('b')", []);
      const both = meeting(2);
      const runs = { forth: 0, back: 0 };
      const cross = (name: "forth" | "back", first: string, second: string) =>
        database.unitOfWork(
          async (tx) => {
            runs[name]++;
            const add = (id: string) => tx.query(words.say("update entry set count = count + 1 where id = ?"), [id]);
            await add(first);
            if (runs[name] === 1) await both();
            await add(second);
          },
          { operation },
        );
      const outcomes = await Promise.all([cross("forth", "a", "b"), cross("back", "b", "a")]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(["committed", "committed"]);
      expect(runs.forth + runs.back).toBe(3);
      expect(events).toContainEqual({ name: "sql.unitRepeated", ...words.deadlockFacts, attempt: 1 });
      expect(await database.queryText("select id, count from entry order by id", [])).toEqual([
        ["a", "2"],
        ["b", "2"],
      ]);
    });

    onPostgres("a serialization failure, wherever it shows, runs the whole unit again", async () => {
      await database.query("insert into entry (id) values ('a')", []);
      const both = meeting(2);
      let runs = 0;
      const add = () =>
        database.unitOfWork(
          async (tx) => {
            runs++;
            await tx.query("set transaction isolation level serializable", []);
            const [row] = await tx.query("select count from entry where id = 'a'", []);
            if (runs <= 2) await both();
            await tx.query("update entry set count = $1 where id = 'a'", [(row?.["count"] as number) + 1]);
          },
          { operation },
        );
      const outcomes = await Promise.all([add(), add()]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(["committed", "committed"]);
      expect(runs).toBe(3);
      expect(events).toContainEqual({ name: "sql.unitRepeated", sqlState: "40001", errno: null, attempt: 1 });
      expect(await database.queryText("select count from entry", [])).toEqual([["2"]]);
    });

    onPostgres("a serialization failure at COMMIT runs the whole unit again", async () => {
      const both = meeting(2);
      let runs = 0;
      // Write skew: each reads what the other inserts, so that only COMMIT of the second can find out.
      const insertIfFew = (id: string) =>
        database.unitOfWork(
          async (tx) => {
            runs++;
            const isFirstRun = runs <= 2;
            await tx.query("set transaction isolation level serializable", []);
            const [row] = await tx.query("select count(*)::int as count from entry", []);
            if ((row?.["count"] as number) === 0) await insert(tx, id);
            if (isFirstRun) await both();
          },
          { operation },
        );
      const outcomes = await Promise.all([insertIfFew("a"), insertIfFew("b")]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(["committed", "committed"]);
      expect(runs).toBe(3);
      expect(await entries()).toHaveLength(1);
    });

    test("a unit that was asked to repeat does so although its work swallowed the error", async () => {
      let runs = 0;
      const outcome = await database.unitOfWork(
        async (tx) => {
          runs++;
          await insert(tx, `run${runs}`);
          if (runs === 1) await tx.query(words.deadlock, []).catch(() => undefined);
        },
        { operation },
      );
      expect(outcome.kind).toBe("committed");
      expect(await entries()).toEqual(["run2"]);
    });

    test("repetitions end: by their number, and by the unit's deadline", async () => {
      let runs = 0;
      const unlucky = async (tx: OwnedTx): Promise<void> => {
        runs++;
        await tx.query(words.deadlock, []);
      };
      const byNumber = await database.unitOfWork(unlucky, { operation, repetitionsMax: 2 });
      expect(runs).toBe(3);
      expect(errorOf(byNumber)).toMatchObject({ code: "WAYBILL_DATABASE", facts: { ...words.deadlockFacts, isTransient: true } });

      const byDeadline = await database.unitOfWork(unlucky, { operation, repetitionsMax: 1_000_000, deadlineMs: 200 });
      expect(byDeadline.kind).toBe("rolledBack");
    });

    test("twenty units with crossed locks all commit, each once", async () => {
      await database.query("insert into entry (id) values ('k1'), ('k2'), ('k3'), ('k4'), ('k5')", []);
      const keys = ["k1", "k2", "k3", "k4", "k5"];
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          database.unitOfWork(
            async (tx) => {
              const order = index % 2 === 0 ? keys : keys.toReversed();
              for (const key of order) await tx.query(words.say("update entry set count = count + 1 where id = ?"), [key]);
            },
            { operation, deadlineMs: 50_000, repetitionsMax: 50 },
          ),
        ),
      );
      expect(outcomes.map(({ kind }) => kind)).toEqual(Array.from({ length: 20 }, () => "committed"));
      expect(await database.queryText("select distinct count from entry", [])).toEqual([["20"]]);
    });

    test("a unit rejects only when no connection was to be had", async () => {
      const url = new URL(own.url);
      url.port = "1";
      const nowhere = openDatabase({ url: url.href });
      const error = await nowhere.unitOfWork(() => Promise.resolve(1), { operation }).catch((caught: unknown) => caught);
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts.isTransient).toBe(true);
      await nowhere.close();
    });
  }),
);
