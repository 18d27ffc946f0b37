import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isWaybillError } from "@waybill/core";
import { forEachDatabase, startFaultProxy, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  checkSchema,
  type Database,
  type MigrationSet,
  migrateUp,
  migrationSql,
  migrationStatus,
  namespace,
  openDatabase,
  sqlMigrations,
  writeAudit,
} from "../src/index.ts";
import { lockMigrations } from "../src/mysql/statements/lock-migrations.ts";
import { splitStatements } from "../src/split-statements.ts";
import { wordsOf } from "./dialect-words.ts";

/** Two migrations for each dialect; on MySQL each statement may be repeated. */
const migrations = {
  postgres: {
    first: "create table waybill_thing (id integer primary key);\ninsert into waybill_thing values (1);\n",
    second: "-- waybill: breaking\nalter table waybill_thing add column note text not null default 'waybill';\n",
    half: "create table waybill_half (id integer);\nselect 1/0;\n",
  },
  mysql: {
    first:
      "create table if not exists waybill_thing (id integer primary key) engine = InnoDB;\ninsert ignore into waybill_thing values (1);\n",
    second:
      "-- waybill: breaking\ncreate table if not exists waybill_note (id integer primary key, note varchar(20) default 'waybill');\ninsert ignore into waybill_note (id) values (1);\n",
    half: "create table if not exists waybill_half (id integer);\nselect nothing from nowhere;\n",
  },
} as const;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let database: Database;
    let folder: string;
    const { dialect } = server;
    const { first, second, half } = migrations[dialect];
    const words = wordsOf(server);
    const noted = dialect === "postgres" ? "waybill_thing" : "waybill_note";
    const onPostgres = test.runIf(dialect === "postgres");
    const onMysql = test.runIf(dialect === "mysql");
    const space = namespace(dialect);
    /** Schemas of the test's own beside its database: on MySQL they are databases of the whole server. */
    const schemas: string[] = [];
    const schemaName = (name: string): string => {
      if (dialect === "postgres") return name;
      const own = `waybill_test_${name}_${randomBytes(4).toString("hex")}`;
      schemas.push(own);
      return own;
    };

    beforeEach(async () => {
      own = await testDatabase({ server: server.name });
      database = openDatabase({ url: own.url });
      folder = await mkdtemp(join(tmpdir(), "waybill-migrations-"));
    });
    afterEach(async () => {
      for (const schema of schemas.splice(0)) await database.execute(`drop database if exists ${schema}`, []);
      await database.close();
      await own.drop();
      await rm(folder, { recursive: true });
    });

    /** A set of the test's own, with these files. */
    const setOf = async (files: Readonly<Record<string, string>>, name = "thing"): Promise<MigrationSet> => {
      const directory = join(folder, `${name}-${Object.keys(files).length}`);
      await mkdir(join(directory, dialect), { recursive: true });
      for (const [file, text] of Object.entries(files)) await writeFile(join(directory, dialect, file), text);
      return { name, directory: pathToFileURL(`${directory}/`) };
    };
    const one = () => setOf({ "001_thing.sql": first });
    const two = () => setOf({ "001_thing.sql": first, "002_note.sql": second });
    const codeAndFacts = async (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => "none",
        (error: unknown) => (isWaybillError(error) ? { code: error.code, ...error.facts } : error),
      );

    test("migrations are applied once, in order, each reported as it happens", async () => {
      const set = await two();
      const progress: string[] = [];
      const onProgress = ({ kind, name, isBreaking }: { kind: string; name: string; isBreaking: boolean }) =>
        void progress.push(`${kind} ${name}${isBreaking ? " breaking" : ""}`);
      const applied = await migrateUp(database, space, [set], { onProgress });
      expect(applied.map(({ name }) => name)).toEqual(["001_thing", "002_note"]);
      expect(progress).toEqual(["applying 001_thing", "applied 001_thing", "applying 002_note breaking", "applied 002_note breaking"]);
      expect(await migrateUp(database, space, [set])).toEqual([]);
      expect(await database.query(`select note from ${noted}`, [])).toEqual([{ note: "waybill" }]);
    });

    test.each(["read committed", "serializable"])(
      "twenty installers at once install the schema once, also where %s is usual",
      async (isolation) => {
        const set = await two();
        if (dialect === "postgres")
          await database.query(`alter database ${own.name} set default_transaction_isolation = '${isolation}'`, []);
        const app = schemaName("app");
        const installers = Array.from({ length: 20 }, () => openDatabase({ url: own.url, connections: 1, connectDeadlineMs: 30_000 }));
        const applied = await Promise.all(
          installers.map((installer) => migrateUp(installer, namespace(dialect, { schema: app }), [sqlMigrations, set])),
        );
        expect(
          applied
            .flat()
            .map(({ name }) => name)
            .toSorted(),
        ).toEqual(["001_audit", "001_thing", "002_note"]);
        expect(await database.query(`select id from ${app}.waybill_thing`, [])).toEqual([{ id: 1 }]);
        await Promise.all(installers.map((installer) => installer.close()));
      },
    );

    test("a schema of the right version passes; none, an older and a newer one are told apart", async () => {
      const [older, newer] = [await one(), await two()];
      expect(await codeAndFacts(checkSchema(database, space, older))).toEqual({
        code: "WAYBILL_SCHEMA_MISMATCH",
        set: "thing",
        found: null,
        needed: 1,
      });
      await migrateUp(database, space, [older]);
      await checkSchema(database, space, older);
      expect(await codeAndFacts(checkSchema(database, space, newer))).toEqual({
        code: "WAYBILL_SCHEMA_MISMATCH",
        set: "thing",
        found: 1,
        needed: 2,
      });
      await migrateUp(database, space, [newer]);
      await checkSchema(database, space, newer);
      const tooNew = { code: "WAYBILL_SCHEMA_MISMATCH", set: "thing", found: 2, needed: 1 };
      expect(await codeAndFacts(checkSchema(database, space, older))).toEqual(tooNew);
      expect(await codeAndFacts(migrateUp(database, space, [older]))).toEqual(tooNew);
    });

    test("an applied migration whose file has changed stops everything, with both checksums", async () => {
      const set = await one();
      await migrateUp(database, space, [set]);
      const changed = await setOf({ "001_thing.sql": `${first}-- a remark\n` });
      for (const act of [() => checkSchema(database, space, changed), () => migrateUp(database, space, [changed])]) {
        expect(await codeAndFacts(act())).toMatchObject({
          code: "WAYBILL_MIGRATION_CHANGED",
          set: "thing",
          migration: "001_thing",
          applied: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
          file: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        });
      }
      expect((await migrationStatus(database, space, [changed]))[0]?.state).toBe("changed");
    });

    test("the status tells applied, pending and newer migrations, and whether they break older processes", async () => {
      const [older, newer] = [await one(), await two()];
      const states = async (set: MigrationSet) =>
        (await migrationStatus(database, space, [set])).map(({ name, state, isBreaking, appliedAt }) => [
          name,
          state,
          isBreaking,
          appliedAt !== null,
        ]);
      expect(await states(newer)).toEqual([
        ["001_thing", "pending", false, false],
        ["002_note", "pending", true, false],
      ]);
      await migrateUp(database, space, [newer]);
      expect(await states(older)).toEqual([
        ["001_thing", "applied", false, true],
        ["002_note", "newer", false, true],
      ]);
    });

    test("a migration that fails stays pending, and those before it stay", async () => {
      const broken = await setOf({ "001_thing.sql": first, "002_note.sql": half });
      expect(await codeAndFacts(migrateUp(database, space, [broken]))).toEqual({
        code: "WAYBILL_DATABASE",
        operation: "migration 002_note of set thing",
        ...words.failingFacts,
      });
      const states = (await migrationStatus(database, space, [broken])).map(({ state }) => state);
      expect(states).toEqual(["applied", "pending"]);
      expect(await database.query("select id from waybill_thing", [])).toEqual([{ id: 1 }]);
    });

    onPostgres("a migration that fails leaves nothing behind", async () => {
      const broken = await setOf({ "001_thing.sql": first, "002_note.sql": half });
      await codeAndFacts(migrateUp(database, space, [broken]));
      expect(await database.query("select to_regclass('waybill_half') as half", [])).toEqual([{ half: null }]);
    });

    onPostgres("a migration that commits by itself is found out", async () => {
      const rude = await setOf({ "001_thing.sql": `${first}commit;\n` });
      expect(await codeAndFacts(migrateUp(database, space, [rude]))).not.toBe("none");
    });

    onMysql.each([0, 1, 2])("an installer cut off after %i statements of a migration is followed by one that ends right", async (done) => {
      const { hostname, port } = new URL(own.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const statements = ["a", "b", "c"].map((name) => `create table if not exists waybill_${name} (id integer);`);
      const set = await setOf(
        { "001_three.sql": `${statements.join("\n")}\ninsert ignore into waybill_migration_seed values (1);\n` },
        "three",
      );
      await database.execute("create table waybill_migration_seed (id integer primary key)", []);
      // Every new connection is refused, too, so that the installer cannot go on by itself: as if its process had been killed.
      const cut = openDatabase({ url: proxy.url(own.url), connections: 1 });
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: `waybill_${["a", "b", "c"][done]} (` });
      const installing = codeAndFacts(migrateUp(cut, space, [set]));
      await fault.hasFired(1, 30_000);
      proxy.inject({ kind: "refuse" });
      proxy.cutAll();
      expect(await installing).toMatchObject({ code: "WAYBILL_DATABASE", errno: null });
      await cut.close();
      await proxy.stop();
      expect((await migrationStatus(database, space, [set])).map(({ state }) => state)).toEqual(["pending"]);
      expect((await migrateUp(database, space, [set])).map(({ name }) => name)).toEqual(["001_three"]);
      const tables =
        "select table_name as name from information_schema.tables where table_schema = database() and table_name like 'waybill\\__' order by 1";
      expect((await database.queryText(tables, [])).flat()).toEqual(["waybill_a", "waybill_b", "waybill_c"]);
      expect(await database.query("select id from waybill_migration_seed", [])).toEqual([{ id: 1 }]);
    });

    onMysql("an installer whose link breaks once takes its migration up again by itself", async () => {
      const { hostname, port } = new URL(own.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const cut = openDatabase({ url: proxy.url(own.url), connections: 1 });
      const set = await two();
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "create table if not exists waybill_note" });
      expect((await migrateUp(cut, space, [set])).map(({ name }) => name)).toEqual(["001_thing", "002_note"]);
      expect(fault.fired).toBe(1);
      await checkSchema(database, space, set);
      await cut.close();
      await proxy.stop();
    });

    onMysql("an installer waits for another one until its deadline, and says what it waited for", async () => {
      const set = await one();
      await migrateUp(database, space, [
        await setOf({ "001_other.sql": "create table if not exists waybill_other (id integer);\n" }, "other"),
      ]);
      const other = await database.connect({ purpose: "other installer" });
      expect(Number((await other.query(lockMigrations, [null, null, 0]))[0]?.["is_locked"])).toBe(1);
      const waited = await codeAndFacts(migrateUp(database, space, [set], { deadlineMs: 1_200 }));
      expect(waited).toMatchObject({ code: "WAYBILL_DEADLINE", operation: expect.stringContaining("other installers") as string });
      await other.close();
      expect(await migrateUp(database, space, [set])).toHaveLength(1);
    });

    onMysql("without a database in the URL a schema must be named", async () => {
      const url = new URL(own.url);
      url.pathname = "/";
      const bare = openDatabase({ url: url.href });
      const app = namespace("mysql", { schema: schemaName("bare") });
      expect(await codeAndFacts(migrateUp(bare, app, [await one()]))).toBe("none");
      await checkSchema(bare, app, await one());
      await bare.close();
    });

    test("a namespace of another dialect is refused", async () => {
      const other = namespace(dialect === "postgres" ? "mysql" : "postgres");
      expect(await codeAndFacts(migrateUp(database, other, [sqlMigrations]))).toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    });

    test("a schema and a prefix of one's own are created and kept to", async () => {
      const app = namespace(dialect, { schema: schemaName("App"), prefix: "wb_" });
      const set = await two();
      await migrateUp(database, app, [sqlMigrations, set]);
      await checkSchema(database, app, set);
      const tables = "select table_name as name from information_schema.tables where table_schema = ? order by 1";
      expect((await database.queryText(words.say(tables), [app.schema])).flat()).toEqual(
        dialect === "postgres" ? ["wb_audit", "wb_migration", "wb_thing"] : ["wb_audit", "wb_migration", "wb_note", "wb_thing"],
      );
      const inOwn = dialect === "postgres" ? "'public'" : "database()";
      expect(await database.query(`select 1 from information_schema.tables where table_schema = ${inOwn}`, [])).toEqual([]);
      // Only the beginning of a word is a prefix, and the text 'waybill' is none.
      const quote = dialect === "postgres" ? '"' : "`";
      const table = `${quote}${app.schema}${quote}.${noted.replace("waybill_", "wb_")}`;
      expect(await database.query(`select note from ${table}`, [])).toEqual([{ note: "waybill" }]);
    });

    onPostgres("nothing is left of the search path on the connection", async () => {
      const single = openDatabase({ url: own.url, connections: 1 });
      const before = await single.queryText("show search_path", []);
      await migrateUp(single, namespace("postgres", { schema: "app" }), [await one()]);
      expect(await single.queryText("show search_path", [])).toEqual(before);
      await single.close();
    });

    test("two namespaces live in one database side by side", async () => {
      const set = await one();
      const spaces = [space, namespace(dialect, { prefix: "b_" }), namespace(dialect, { schema: schemaName("c") })];
      await Promise.all(spaces.map((each) => migrateUp(database, each, [set])));
      for (const each of spaces) await checkSchema(database, each, set);
    });

    onPostgres("installers without the right to create a schema may use one that is there", async () => {
      await database.query("create schema app", []);
      const role = `${own.name}_app`;
      await database.query(`create role ${role} login`, []);
      try {
        await database.query(`grant usage, create on schema app to ${role}`, []);
        const url = new URL(own.url);
        url.username = role;
        const limited = openDatabase({ url: url.href });
        await migrateUp(limited, namespace("postgres", { schema: "app" }), [await one()]);
        await limited.close();
      } finally {
        await database.query(`drop owned by ${role}`, []);
        await database.query(`drop role ${role}`, []);
      }
    });

    onPostgres("a COMMIT whose answer was lost is asked for, not applied twice", async () => {
      const { hostname, port } = new URL(own.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const cut = openDatabase({ url: proxy.url(own.url) });
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "commit\0" });
      const set = await two();
      await migrateUp(cut, space, [set]);
      expect(fault.fired).toBe(1);
      await checkSchema(database, space, set);
      expect(await database.query("select count(*)::int as count from waybill_thing", [])).toEqual([{ count: 1 }]);
      await cut.close();
      await proxy.stop();
    });

    test("the printed script makes a schema that passes the check", async () => {
      const app = namespace(dialect, { schema: schemaName("app"), prefix: "wb_" });
      const set = await two();
      const connection = await database.connect({ purpose: "script" });
      const script = await migrationSql(app, [sqlMigrations, set]);
      if (dialect === "postgres") {
        const outcome = await connection.unitOfWork((tx) => tx.query(script, []), { operation: "script" });
        expect(outcome.kind).toBe("committed");
      } else {
        // Twice, as after an interruption.
        for (const statement of [...splitStatements(script), ...splitStatements(script)]) await connection.execute(statement, []);
      }
      await connection.close();
      await checkSchema(database, app, sqlMigrations);
      await checkSchema(database, app, set);
      expect(await migrateUp(database, app, [sqlMigrations, set])).toEqual([]);
    });

    test.each([
      ["a gap", { "001_a.sql": "select 1;", "003_c.sql": "select 1;" }],
      ["a repeated number", { "001_a.sql": "select 1;", "001_b.sql": "select 1;" }],
      ["another name", { "001_a.sql": "select 1;", "notes.txt": "" }],
    ])("a set with %s is refused", async (_, files) => {
      const set = await setOf(files);
      expect(await codeAndFacts(migrateUp(database, space, [set]))).toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    });

    test("a set without migrations for this database is refused", async () => {
      const set: MigrationSet = { name: "nothing", directory: pathToFileURL(`${folder}/nowhere/`) };
      expect(await codeAndFacts(checkSchema(database, space, set))).toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    });

    test("a prefix that makes a name too long is refused before anything is applied", async () => {
      const long = namespace(dialect, { prefix: "p".repeat(58) });
      expect(await codeAndFacts(migrateUp(database, long, [await one()]))).toMatchObject({ code: "WAYBILL_IDENTIFIER_INVALID" });
      const inOwn = dialect === "postgres" ? "'public'" : "database()";
      expect(await database.query(`select 1 from information_schema.tables where table_schema = ${inOwn}`, [])).toEqual([]);
    });

    test("a line of the audit is written with its transaction, or not at all", async () => {
      await migrateUp(database, space, [sqlMigrations]);
      const entry = { who: "ops", what: "dead-letter.redrive", subject: "subscription default/kafka", why: "fixed" };
      await database.unitOfWork((tx) => writeAudit(tx, space, entry), { operation: "audit" });
      await database.unitOfWork(
        async (tx) => {
          await writeAudit(tx, space, { ...entry, who: "nobody" });
          throw new Error("no");
        },
        { operation: "audit" },
      );
      const rows = await database.query("select who, what, subject, why, detail from waybill_audit", []);
      expect(rows).toEqual([{ ...entry, detail: null }]);
      const now = dialect === "postgres" ? "clock_timestamp()" : "utc_timestamp(6)";
      expect(await database.query(`select who from waybill_audit where at <= ${now}`, [])).toHaveLength(1);
    });
  }),
);
