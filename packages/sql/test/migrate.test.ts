import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isWaybillError } from "@waybill/core";
import { forEachPostgres, startFaultProxy, type TestDatabase, testDatabase } from "@waybill/testing";
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

const first = "create table waybill_thing (id integer primary key);\ninsert into waybill_thing values (1);\n";
const second = "-- waybill: breaking\nalter table waybill_thing add column note text not null default 'waybill';\n";

forEachPostgres((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let database: Database;
    let folder: string;
    const space = namespace("postgres");

    beforeEach(async () => {
      own = await testDatabase({ server: server.name });
      database = openDatabase({ url: own.url });
      folder = await mkdtemp(join(tmpdir(), "waybill-migrations-"));
    });
    afterEach(async () => {
      await database.close();
      await own.drop();
      await rm(folder, { recursive: true });
    });

    /** A set of the test's own, with these files. */
    const setOf = async (files: Readonly<Record<string, string>>, name = "thing"): Promise<MigrationSet> => {
      const directory = join(folder, `${name}-${Object.keys(files).length}`);
      await mkdir(join(directory, "postgres"), { recursive: true });
      for (const [file, text] of Object.entries(files)) await writeFile(join(directory, "postgres", file), text);
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
      expect(await database.query("select * from waybill_thing", [])).toEqual([{ id: 1, note: "waybill" }]);
    });

    test.each(["read committed", "serializable"])(
      "twenty installers at once install the schema once, also where %s is usual",
      async (isolation) => {
        const set = await two();
        await database.query(`alter database ${own.name} set default_transaction_isolation = '${isolation}'`, []);
        const installers = Array.from({ length: 20 }, () => openDatabase({ url: own.url, connections: 1 }));
        const applied = await Promise.all(
          installers.map((installer) => migrateUp(installer, namespace("postgres", { schema: "app" }), [sqlMigrations, set])),
        );
        expect(
          applied
            .flat()
            .map(({ name }) => name)
            .toSorted(),
        ).toEqual(["001_audit", "001_thing", "002_note"]);
        expect(await database.query("select id from app.waybill_thing", [])).toEqual([{ id: 1 }]);
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

    test("a migration that fails leaves nothing behind, and those before it stay", async () => {
      const broken = await setOf({ "001_thing.sql": first, "002_note.sql": "create table waybill_half (id integer);\nselect 1/0;\n" });
      expect(await codeAndFacts(migrateUp(database, space, [broken]))).toEqual({
        code: "WAYBILL_DATABASE",
        operation: "migration 002_note of set thing",
        sqlState: "22012",
        errno: null,
        isTransient: false,
      });
      expect(await database.query("select to_regclass('waybill_half') as half, to_regclass('waybill_thing')::text as thing", [])).toEqual([
        { half: null, thing: "waybill_thing" },
      ]);
      const states = (await migrationStatus(database, space, [broken])).map(({ state }) => state);
      expect(states).toEqual(["applied", "pending"]);
    });

    test("a migration that commits by itself is found out", async () => {
      const rude = await setOf({ "001_thing.sql": `${first}commit;\n` });
      expect(await codeAndFacts(migrateUp(database, space, [rude]))).not.toBe("none");
    });

    test("a schema and a prefix of one's own are created and kept to", async () => {
      const app = namespace("postgres", { schema: "App", prefix: "wb_" });
      const set = await two();
      await migrateUp(database, app, [sqlMigrations, set]);
      await checkSchema(database, app, set);
      const tables =
        "select table_schema || '.' || table_name from information_schema.tables where table_schema !~ '^(pg_|information)' order by 1";
      expect((await database.queryText(tables, [])).flat()).toEqual(["App.wb_audit", "App.wb_migration", "App.wb_thing"]);
      // Only the beginning of a word is a prefix, and the text 'waybill' is none.
      expect(await database.query('select note from "App".wb_thing', [])).toEqual([{ note: "waybill" }]);
    });

    test("nothing is left of the search path on the connection", async () => {
      const single = openDatabase({ url: own.url, connections: 1 });
      const before = await single.queryText("show search_path", []);
      await migrateUp(single, namespace("postgres", { schema: "app" }), [await one()]);
      expect(await single.queryText("show search_path", [])).toEqual(before);
      await single.close();
    });

    test("two namespaces live in one database side by side", async () => {
      const set = await one();
      const spaces = [space, namespace("postgres", { prefix: "b_" }), namespace("postgres", { schema: "c" })];
      await Promise.all(spaces.map((each) => migrateUp(database, each, [set])));
      for (const each of spaces) await checkSchema(database, each, set);
    });

    test("installers without the right to create a schema may use one that is there", async () => {
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

    test("a COMMIT whose answer was lost is asked for, not applied twice", async () => {
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
      const app = namespace("postgres", { schema: "app", prefix: "wb_" });
      const set = await two();
      const connection = await database.connect({ purpose: "script" });
      const script = await migrationSql(app, [sqlMigrations, set]);
      const outcome = await connection.unitOfWork((tx) => tx.query(script, []), { operation: "script" });
      expect(outcome.kind).toBe("committed");
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
      const long = namespace("postgres", { prefix: "p".repeat(58) });
      expect(await codeAndFacts(migrateUp(database, long, [await one()]))).toMatchObject({ code: "WAYBILL_IDENTIFIER_INVALID" });
      expect(await database.query("select 1 from pg_tables where schemaname = 'public'", [])).toEqual([]);
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
      const rows = await database.query("select who, what, subject, why, detail, at <= clock_timestamp() as past from waybill_audit", []);
      expect(rows).toEqual([{ ...entry, detail: null, past: true }]);
    });
  }),
);
