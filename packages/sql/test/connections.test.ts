import { inspect } from "node:util";
import { isWaybillError, type SqlEvent, type WaybillEvent } from "@waybill/core";
import { type FaultProxy, forEachDatabase, startFaultProxy, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Database, type DatabaseOptions, openDatabase, type RowFields } from "../src/index.ts";
import { wordsOf } from "./dialect-words.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let proxy: FaultProxy;
    let admin: Database;
    const opened: Database[] = [];
    const words = wordsOf(server);
    const onPostgres = test.runIf(server.dialect === "postgres");
    const onMysql = test.runIf(server.dialect === "mysql");

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      const { hostname, port } = new URL(own.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      admin = openDatabase({ url: own.url, connections: 1, applicationName: "admin" });
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((database) => database.close({ deadlineMs: 500 })));
      proxy.heal();
    });
    afterAll(async () => {
      await admin.close();
      await proxy.stop();
      await own.drop();
    });

    const open = (options: Partial<DatabaseOptions> = {}): { database: Database; events: SqlEvent[] } => {
      const events: SqlEvent[] = [];
      const database = openDatabase({
        url: own.url,
        onEvent: (event: WaybillEvent) => void events.push(event as SqlEvent),
        ...options,
      });
      opened.push(database);
      return { database, events };
    };
    const pidOf = async (statements: Pick<Database, "query">): Promise<number> =>
      Number((await statements.query(words.sessionId, []))[0]?.["id"]);
    const isGone = async (pid: number): Promise<boolean> => (await admin.query(words.session(pid), [])).length === 0;
    const terminate = async (pid: number): Promise<void> => {
      await admin.query(words.kill(pid), []);
    };
    const failure = async (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => "no error",
        (error: unknown) => error,
      );

    onPostgres("rows come parsed as documented, whatever the application set for itself", async () => {
      pg.types.setTypeParser(20, (text) => BigInt(text));
      try {
        const { database } = open();
        const [row] = await database.query(
          "select 9007199254740993::int8 as big, array[1, null]::int8[] as bigs, 1::int4 as small, true as yes, $1::bytea as bytes, $2::text[] as texts, $3::boolean as no",
          [new Uint8Array([0, 255]), ["a,b", '"'], false],
        );
        expect(row).toEqual({
          big: "9007199254740993",
          bigs: ["1", null],
          small: 1,
          yes: true,
          bytes: Buffer.from([0, 255]),
          texts: ["a,b", '"'],
          no: false,
        });
      } finally {
        pg.types.setTypeParser(20, (text) => text);
      }
    });

    test("rows are what a reader makes of their bytes, one after the other; what it throws fails the statement, not the connection", async () => {
      const { database } = open();
      const connection = await database.connect({ purpose: "test" });
      const long = "ü".repeat(40_000);
      const sql = `select 1 as n, 'ü' as t, cast(null as char(1)) as nothing, '' as none, '${long}' as l union all select 2, 'b', 'c', '', 'd' order by n`;
      const seen: number[] = [];
      const read = (fields: RowFields): readonly unknown[] => {
        seen.push(fields.integer(0));
        return [fields.bigint(0), fields.text(1), fields.text(2), fields.text(3), fields.text(4), fields.isNull(2)];
      };
      const rows = [
        [1n, "ü", null, "", long, true],
        [2n, "b", "c", "", "d", false],
      ];
      expect(await connection.readRows(sql, [], read)).toEqual(rows);
      const failing = connection.readRows(sql, [], (fields) => {
        read(fields);
        throw new RangeError("the first is enough");
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect(seen).toEqual([1, 2, 1]);
      await expect(connection.readRows("select nothing_like_it", [], read)).rejects.toMatchObject({ code: "WAYBILL_DATABASE" });
      expect(await connection.queryText("select 3", [])).toEqual([["3"]]);
      expect(await connection.readRows(`${sql} `, [], read)).toEqual(rows);
      expect(connection.lost.aborted).toBe(false);
      await connection.close();
    });

    onPostgres("rows as text are the bytes on the wire, in the statement's order", async () => {
      const { database } = open();
      const sql = "select true, 1::int8, '\\x00ff'::bytea, null, '{\"a\":1}'::json, 2 as a, 3 as a";
      expect(await database.queryText(sql, [])).toEqual([["t", "1", "\\x00ff", null, '{"a":1}', "2", "3"]]);
    });

    onMysql("rows come parsed as documented: a bigint is text, so are decimals, times and json", async () => {
      const { database } = open();
      await database.execute(
        "create table typed (big bigint unsigned, small int, yes boolean, money decimal(20, 4), half double, at datetime(6), day date, note text, doc json, bytes blob, flags bit(3))",
        [],
      );
      const values = [
        "18446744073709551615",
        1,
        true,
        "12345678901234.5678",
        0.5,
        "2026-01-02 03:04:05.000006",
        "2026-01-02",
        'it\'s \\ "ä😀" ?',
      ];
      const bytes = new Uint8Array([0, 255, 39, 92]);
      await database.execute("insert into typed values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, b'101')", [...values, '{"a": 1}', bytes]);
      const [row] = await database.query("select * from typed", []);
      expect(row).toEqual({
        big: "18446744073709551615",
        small: 1,
        yes: 1,
        money: "12345678901234.5678",
        half: 0.5,
        at: "2026-01-02 03:04:05.000006",
        day: "2026-01-02",
        note: values[7],
        doc: '{"a": 1}',
        bytes: Buffer.from(bytes),
        flags: Buffer.from([5]),
      });
      expect(await database.query("select count(*) as count, sum(small) as total from typed", [])).toEqual([{ count: "1", total: "1" }]);
      expect(await database.queryText("select big, small, yes, money, half, at, day, note, doc, hex(bytes), null from typed", [])).toEqual([
        ["18446744073709551615", "1", "1", "12345678901234.5678", "0.5", values[5], values[6], values[7], '{"a": 1}', "00FF275C", null],
      ]);
    });

    onMysql("a session has the isolation, mode, zone and character set that everything relies on, whatever the server's are", async () => {
      const { database } = open();
      const isolation = server.name.startsWith("mariadb") ? "@@tx_isolation" : "@@transaction_isolation";
      const [row] = await database.query(
        `select ${isolation} as isolation, @@sql_mode as mode, @@time_zone as zone, @@character_set_client as client,
                @@character_set_connection as connection, @@character_set_results as results, @@autocommit as autocommit`,
        [],
      );
      expect(row).toMatchObject({
        isolation: "READ-COMMITTED",
        zone: "+00:00",
        client: "utf8mb4",
        connection: "utf8mb4",
        results: "utf8mb4",
      });
      expect(String(row?.["autocommit"])).toBe("1");
      const modes = String(row?.["mode"]).split(",");
      expect(modes).toContain("STRICT_ALL_TABLES");
      expect(modes).not.toContain("NO_BACKSLASH_ESCAPES");
      expect(modes).not.toContain("ANSI_QUOTES");
    });

    onMysql("a session whose escaping was changed behind our back is destroyed", async () => {
      const { database, events } = open({ connections: 1 });
      const before = await pidOf(database);
      await database.execute("set session sql_mode = 'NO_BACKSLASH_ESCAPES'", []);
      expect(events).toEqual([{ name: "sql.connectionLost", code: "ESCAPES_CHANGED" }]);
      expect(await pidOf(database)).not.toBe(before);
    });

    test.runIf(server.name === "mysql")(
      "an idle session that MySQL ends, as we told it to, is no loss, and the next call opens another",
      async () => {
        const { database, events } = open({ connections: 1 });
        const before = await pidOf(database);
        await database.execute("set session wait_timeout = 1", []);
        await waitUntil(() => isGone(before), { what: "MySQL has ended the session", deadlineMs: 30_000 });
        await waitUntil(async () => (await pidOf(database).catch(() => before)) !== before, {
          what: "another session",
          deadlineMs: 30_000,
        });
        expect(events).toEqual([]);
      },
    );

    onMysql("M10 a text of two statements is refused, and no file of ours is ever asked for", async () => {
      const { database } = open();
      expect(await failure(database.query("select 1; select 2", []))).toMatchObject({ facts: { errno: 1064 } });
      await database.execute("create table loaded (line text)", []);
      const load = await failure(database.query("load data local infile '/etc/hostname' into table loaded", []));
      expect(isWaybillError(load, "WAYBILL_DATABASE")).toBe(true);
      expect(await database.query("select * from loaded", [])).toEqual([]);
    });

    onMysql("the server ends by itself what we gave up while it waits for a lock, and frees what it held", async () => {
      const { database } = open({ connections: 2, statementDeadlineMs: 14_000 });
      const seconds = async (name: string): Promise<unknown> => (await database.query(`select @@${name} as value`, []))[0]?.["value"];
      // A unit may take 15 s, so that is what a session is told from the start; a second more is the server's.
      expect(Number(await seconds("innodb_lock_wait_timeout"))).toBe(16);
      expect(Number(await seconds("lock_wait_timeout"))).toBe(16);
      const limit = server.name.startsWith("mariadb") ? "max_statement_time" : "max_execution_time";
      expect(Number(await seconds(limit))).toBe(limit === "max_statement_time" ? 16 : 16_000);
      const allowed = "select @@innodb_lock_wait_timeout as value";
      expect(await database.queryText(allowed, [], { deadlineMs: 60_000 })).toEqual([["61"]]);
      const inUnit = await database.unitOfWork(async (tx) => Number((await tx.query(allowed, []))[0]?.["value"]), {
        operation: "test",
        deadlineMs: 99_000,
      });
      expect(inUnit).toEqual({ kind: "committed", value: 100 });
    });

    test("a value that is none is refused before anything is sent", async () => {
      const { database } = open();
      const error = await failure(database.query(words.say("select ?"), [undefined as unknown as string]));
      expect(isWaybillError(error, "WAYBILL_VALUE_INVALID") && error.facts).toEqual({ position: 1, found: "undefined" });
    });

    test("an SQL error is told by its numbers, and shows no value", async () => {
      const { database } = open();
      await database.query(`create table card (number ${words.key} primary key, since date)`, []);
      const insert = words.say("insert into card (number) values (?)");
      await database.query(insert, ["canary-4929"]);
      const repeated = await failure(database.query(insert, ["canary-4929"]));
      const malformed = await failure(database.query(words.say("insert into card values (?, ?)"), ["b", "canary-4929"]));
      expect(isWaybillError(repeated, "WAYBILL_DATABASE") && repeated.facts).toEqual({
        operation: "statement",
        ...words.duplicateKey,
        isTransient: false,
      });
      if (server.dialect === "postgres") expect(repeated).toHaveProperty("cause.constraint", "card_pkey");
      for (const error of [repeated, malformed]) {
        expect(isWaybillError(error, "WAYBILL_DATABASE")).toBe(true);
        expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
      }
      await database.query("drop table card", []);
    });

    test("an SQL error leaves the connection as it was", async () => {
      const { database, events } = open({ connections: 1 });
      const pid = await pidOf(database);
      await failure(database.query(words.failing, []));
      expect(await pidOf(database)).toBe(pid);
      expect(events).toEqual([]);
    });

    test("P4, M1 a statement past its deadline is given up, its connection is destroyed and the next caller gets another", async () => {
      const { database, events } = open({ connections: 1 });
      const pid = await pidOf(database);
      const error = await failure(database.query(words.sleep(60), [], { deadlineMs: 100, name: "sleep" }));
      expect(isWaybillError(error, "WAYBILL_DEADLINE") && error.facts.operation).toBe("sleep");
      expect(events).toEqual([{ name: "sql.connectionLost", code: "WAYBILL_DEADLINE" }]);
      expect(await pidOf(database)).not.toBe(pid);
    });

    onPostgres("the server soon ends what we gave up, and frees its locks", async () => {
      const { database } = open({ connections: 1 });
      const pid = await pidOf(database);
      await failure(database.query(words.sleep(60), [], { deadlineMs: 100 }));
      await waitUntil(() => isGone(pid), { what: "the server has ended the statement", deadlineMs: 5_000 });
    });

    onPostgres("a statement that is allowed more than usual gets it from the server, too", async () => {
      const { database } = open({ connections: 1, statementDeadlineMs: 100 });
      const allowed = "select current_setting('statement_timeout') as allowed";
      expect(await database.query(allowed, [])).toEqual([{ allowed: "16s" }]);
      expect(await database.query(allowed, [], { deadlineMs: 60_000 })).toEqual([{ allowed: "61s" }]);
      expect(await database.query(allowed, [])).toEqual([{ allowed: "61s" }]);
      const inUnit = await database.unitOfWork((tx) => tx.query(allowed, []), { operation: "test", deadlineMs: 99_000 });
      expect(inUnit).toEqual({ kind: "committed", value: [{ allowed: "100s" }] });
    });

    test("P3, M1 a half-open connection is found out by the deadline, and the database works again afterwards", async () => {
      const { database, events } = open({
        url: proxy.url(own.url),
        connections: 1,
        connectDeadlineMs: 30_000,
        statementDeadlineMs: 30_000,
      });
      await pidOf(database);
      const hole = proxy.inject({ kind: "blackHole" });
      const error = await failure(database.query("select 1", [], { deadlineMs: 200 }));
      expect(isWaybillError(error, "WAYBILL_DEADLINE")).toBe(true);
      expect(hole.fired).toBeGreaterThan(0);
      expect(events).toEqual([{ name: "sql.connectionLost", code: "WAYBILL_DEADLINE" }]);
      proxy.heal();
      expect(await pidOf(database)).toBeGreaterThan(0);
    });

    test("connecting to a server that accepts and stays silent ends at its deadline", async () => {
      proxy.inject({ kind: "blackHole" });
      const { database } = open({ url: proxy.url(own.url), connectDeadlineMs: 150 });
      const error = await failure(database.connect({ purpose: "test" }));
      expect(isWaybillError(error, "WAYBILL_DEADLINE") && error.facts).toEqual({ operation: "connect", deadlineMs: 150 });
    });

    test("a refused connection is a transient error without address or credentials", async () => {
      proxy.inject({ kind: "refuse" });
      const url = new URL(proxy.url(own.url));
      url.password = "canary";
      const { database } = open({ url: url.href });
      const error = await failure(database.query("select 1", []));
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts.isTransient).toBe(true);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
    });

    test("a database that does not exist is an error that does not pass by itself", async () => {
      const url = new URL(own.url);
      url.pathname = "/waybill_no_such_database";
      const error = await failure(open({ url: url.href }).database.query("select 1", []));
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts).toMatchObject({
        ...(server.dialect === "postgres" ? { sqlState: "3D000" } : { sqlState: "42000", errno: 1049 }),
        isTransient: false,
      });
    });

    onPostgres("parameters that the driver cannot use are a configuration error, without the URL", async () => {
      const { database } = open({ url: `${own.url}?sslrootcert=/nowhere/canary.pem` });
      const error = await failure(database.query("select 1", []));
      expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID")).toBe(true);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
    });

    test("a terminated idle connection ends nothing and is replaced", async () => {
      const { database, events } = open({ connections: 1 });
      const pid = await pidOf(database);
      await terminate(pid);
      await waitUntil(() => events.length > 0, { what: "the loss is reported" });
      expect(events).toEqual([
        { name: "sql.connectionLost", code: server.dialect === "postgres" ? "57P01" : (expect.stringMatching(/^[A-Z_]+$/) as string) },
      ]);
      expect(await pidOf(database)).not.toBe(pid);
    });

    test("a connection terminated between two statements of a unit ends nothing but the unit", async () => {
      const { database, events } = open({ connections: 1 });
      const outcome = await database.unitOfWork(
        async (tx) => {
          await terminate(Number((await tx.query(words.sessionId, []))[0]?.["id"]));
          await waitUntil(() => events.length > 0, { what: "the loss is reported" });
          return "swallowed";
        },
        { operation: "test" },
      );
      expect(outcome.kind).toBe("rolledBack");
      expect(await pidOf(database)).toBeGreaterThan(0);
    });

    test("a dedicated connection says when it is lost, and what it was for", async () => {
      const { database } = open({ applicationName: "shop" });
      const connection = await database.connect({ purpose: "relay read" });
      if (server.dialect === "postgres") {
        const [row] = await connection.query("select application_name from pg_stat_activity where pid = pg_backend_pid()", []);
        expect(row).toEqual({ application_name: "shop relay read" });
      } else if (server.name === "mysql") {
        const told =
          "select attr_value from performance_schema.session_connect_attrs where processlist_id = connection_id() and attr_name = 'program_name'";
        expect(await connection.queryText(told, [])).toEqual([["shop relay read"]]);
      }
      const lost = new Promise((resolve) => connection.lost.addEventListener("abort", resolve, { once: true }));
      await terminate(await pidOf(connection));
      await lost;
      const error = await failure(connection.query("select 1", []));
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts.isTransient).toBe(true);
      await connection.close();
    });

    test("calls made side by side on one connection run one after the other", async () => {
      const { database } = open();
      const connection = await database.connect({ purpose: "test" });
      const done: number[] = [];
      const took = async (place: number): Promise<void> => {
        await connection.query(words.sleep((6 - place) / 100), []);
        done.push(place);
      };
      await Promise.all([1, 2, 3, 4, 5].map(took));
      expect(done).toEqual([1, 2, 3, 4, 5]);
      await connection.close();
    });

    test("waiting for a connection's turn ends at the deadline and harms nobody", async () => {
      const { database, events } = open();
      const connection = await database.connect({ purpose: "test" });
      const slow = connection.query(words.sleep(0.5), []);
      const error = await failure(connection.query("select 1", [], { deadlineMs: 50 }));
      expect(isWaybillError(error, "WAYBILL_DEADLINE") && error.facts.operation).toBe("the connection's turn");
      await slow;
      expect(await connection.queryText("select 1", [])).toEqual([["1"]]);
      expect(events).toEqual([]);
      await connection.close();
    });

    onPostgres("a named statement is prepared once and survives an error", async () => {
      const { database } = open({ connections: 1 });
      const divide = (by: string) => database.query("select 6 / $1::int as result", [by], { name: "divide" });
      expect(await divide("3")).toEqual([{ result: 2 }]);
      await failure(divide("0"));
      expect(await divide("2")).toEqual([{ result: 3 }]);
      expect(await database.query("select count(*)::int as count from pg_prepared_statements where name = 'divide'", [])).toEqual([
        { count: 1 },
      ]);
    });

    onPostgres("two statements of one name are two statements", async () => {
      const { database, events } = open({ connections: 1 });
      const read = (column: string) => database.query(`select 1 as ${column}`, [], { name: "read" });
      expect([await read("a"), await read("b"), await read("a")]).toEqual([[{ a: 1 }], [{ b: 1 }], [{ a: 1 }]]);
      const prepared = "select name from pg_prepared_statements order by name";
      expect((await database.queryText(prepared, [])).flat()).toEqual(["read", "read 2"]);
      expect(events).toEqual([]);
    });

    onPostgres("a session prepares a bounded number of statements and sends the others whole", async () => {
      const { database } = open({ connections: 1 });
      for (let number = 0; number < 210; number++) await database.query(`select ${number}`, [], { name: `n${number}` });
      expect(await database.query("select count(*)::int as count from pg_prepared_statements", [])).toEqual([{ count: 200 }]);
    });

    onPostgres("a prepared statement whose result has changed fails once and works again", async () => {
      const { database } = open({ connections: 1 });
      const read = () => database.query("select * from changing", [], { name: "changing" });
      await database.query("create table changing (a integer)", []);
      await read();
      await database.query("alter table changing add column b integer", []);
      expect(await failure(read())).toMatchObject({ facts: { sqlState: "0A000" } });
      expect(await read()).toEqual([]);
    });

    test("a statement that leaves a transaction open does not leave its connection to the next caller", async () => {
      const { database } = open({ connections: 1 });
      const pid = await pidOf(database);
      await database.query("begin", []);
      expect(await pidOf(database)).not.toBe(pid);
    });

    test("M4 callers wait in line for a connection, up to their deadline, and the line goes on", async () => {
      const { database, events } = open({ connections: 2 });
      const busy = [1, 2].map(() => database.query(words.sleep(0.4), []));
      const early = failure(database.query("select 1", [], { deadlineMs: 100 }));
      const late = database.queryText("select 2", []);
      const error = await early;
      expect(isWaybillError(error, "WAYBILL_DEADLINE") && error.facts).toEqual({ operation: "a connection", deadlineMs: 100 });
      expect(await late).toEqual([["2"]]);
      await Promise.all(busy);
      expect(events).toEqual([]);
    });

    test("who waits behind a connection that dies gets another in its place", async () => {
      const { database } = open({ connections: 1 });
      await pidOf(database);
      const dying = failure(database.query(words.sleep(60), [], { deadlineMs: 100 }));
      const waiting = database.queryText("select 1", [], { deadlineMs: 30_000 });
      expect(isWaybillError(await dying, "WAYBILL_DEADLINE")).toBe(true);
      expect(await waiting).toEqual([["1"]]);
    });

    test("the pool never opens more connections than it may, and uses them again", async () => {
      const { database } = open({ connections: 2, applicationName: "waybill bound" });
      const ids = await Promise.all(Array.from({ length: 20 }, () => pidOf(database)));
      expect(new Set(ids).size).toBeLessThanOrEqual(2);
      // A session of an earlier test may still be asleep on MariaDB, where it has no name of its own.
      await waitUntil(async () => (await admin.query(words.sessionsOf("waybill bound"), [])).length === 2, {
        what: "the server has two sessions",
        deadlineMs: 40_000,
      });
    });

    test("a pool whose connections cannot be opened fails its callers and works when the server is back", async () => {
      const { database } = open({ url: proxy.url(own.url), connections: 1 });
      proxy.inject({ kind: "refuse" });
      const failures = await Promise.all([1, 2, 3].map(() => failure(database.query("select 1", []))));
      expect(failures.every((error) => isWaybillError(error, "WAYBILL_DATABASE"))).toBe(true);
      proxy.heal();
      expect(await database.queryText("select 1", [])).toEqual([["1"]]);
    });

    test("closing waits for what is in use, refuses what comes later, and leaves no session", async () => {
      const { database } = open({ applicationName: "waybill closing" });
      const connection = await database.connect({ purpose: "test" });
      const last = database.query(`${words.sleep(0.2)}, 'done' as word`, []);
      const [closed] = await Promise.all([database.close(), failure(database.query("select 1", []))]);
      expect(closed).toBeUndefined();
      expect(await last).toMatchObject([{ word: "done" }]);
      expect(connection.lost.aborted).toBe(true);
      expect(isWaybillError(await failure(database.query("select 1", [])), "WAYBILL_CONFIG_INVALID")).toBe(true);
      expect(isWaybillError(await failure(database.connect({ purpose: "late" })), "WAYBILL_CONFIG_INVALID")).toBe(true);
      await database.close();
      const sessions = words.sessionsOf("waybill closing%");
      await waitUntil(async () => (await admin.query(sessions, [])).length === 0, { what: "all sessions are gone" });
    });

    test("closing ends at its deadline although a statement goes on", async () => {
      const { database } = open({ applicationName: "waybill endless" });
      const endless = failure(database.query(words.sleep(60), []));
      const running = words.activeSessionsOf("waybill endless");
      await waitUntil(async () => (await admin.query(running, [])).length > 0, { what: "the statement runs" });
      await database.close({ deadlineMs: 50 });
      expect(isWaybillError(await endless, "WAYBILL_DATABASE")).toBe(true);
    });

    onPostgres("a connection straight to the server is recognised as one, and the server watches it, too", async () => {
      const { database } = open({ statementDeadlineMs: 29_000 });
      const connection = await database.connect({ purpose: "test" });
      expect(connection.isPooled).toBe(false);
      const settings =
        "select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle";
      expect(await connection.query(settings, [])).toEqual([{ statement: "30s", idle: "30s" }]);
      await connection.close();
    });
  }),
);
