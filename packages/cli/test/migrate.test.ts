import { forEachDatabaseInTurn, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isMysql, query as queryUrl } from "./fixtures.ts";
import { waybill } from "./waybill.ts";

await forEachDatabaseInTurn("cli migrate", (server) =>
  describe(`waybill migrate on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    beforeEach(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
    });
    afterEach(() => database.drop());

    const query = (sql: string): ReturnType<typeof queryUrl> => queryUrl(database.url, sql);

    test("up installs the tables, says what it does on stderr, and has nothing to do the second time", async () => {
      const first = await waybill(["migrate", "up", "--json"], environment);
      expect(first.code).toBe(0);
      expect(JSON.parse(first.stdout)).toMatchObject({
        applied: expect.arrayContaining([{ set: "outbox", number: 1, name: "001_outbox" }]),
      });
      expect(first.stderr).toContain("applying outbox 001_outbox");
      const second = await waybill(["migrate", "up"], environment);
      expect(second).toMatchObject({ code: 0, stdout: "Nothing to do: the tables are up to date.\n", stderr: "" });
    });

    test("status ends with 3 until everything is applied, and with 0 then", async () => {
      const before = await waybill(["migrate", "status", "--json"], environment);
      expect(before.code).toBe(3);
      const { migrations } = JSON.parse(before.stdout) as { migrations: { set: string; state: string }[] };
      expect(new Set(migrations.map(({ state }) => state))).toEqual(new Set(["pending"]));
      expect([...new Set(migrations.map(({ set }) => set))]).toEqual(["sql", "outbox", "relay", "dead-letter", "inbox"]);
      await waybill(["migrate", "up"], environment);
      const after = await waybill(["migrate", "status"], environment);
      expect(after.code).toBe(0);
      expect(after.stdout).toMatch(/^SET +MIGRATION +STATE/);
      expect(after.stdout).not.toContain("pending");
    });

    test("several at once install everything once", async () => {
      const ran = await Promise.all([1, 2, 3].map(() => waybill(["migrate", "up", "--json"], environment)));
      expect(ran.map(({ code }) => code)).toEqual([0, 0, 0]);
      const applied = ran.flatMap(({ stdout }) =>
        (JSON.parse(stdout) as { applied: { set: string; name: string }[] }).applied.map(({ set, name }) => `${set} ${name}`),
      );
      expect(new Set(applied).size).toBe(applied.length);
      expect((await waybill(["migrate", "status"], environment)).code).toBe(0);
    });

    test("only the named sets are installed, under the given schema and prefix", async () => {
      // On MySQL a schema is a database of the server.
      const schema = `${database.name}_app`;
      try {
        const place = ["--set", "sql", "--set", "inbox", "--schema", schema, "--prefix", "wb_"];
        expect((await waybill(["migrate", "up", ...place], environment)).code).toBe(0);
        const tables = await query(
          `select table_schema as place, table_name as name from information_schema.tables where table_schema in ('${schema}', '${database.name}', 'public')`,
        );
        expect(new Set(tables.map(({ place: found }) => found))).toEqual(new Set([schema]));
        expect(tables.every(({ name }) => String(name).startsWith("wb_"))).toBe(true);
        expect(tables.map(({ name }) => name)).toContain("wb_inbox");
        expect(tables.map(({ name }) => name)).not.toContain("wb_outbox");
      } finally {
        await query(`drop schema if exists ${schema}${isMysql(database.url) ? "" : " cascade"}`);
      }
    });

    test("sql prints what another tool can apply, and status agrees with it", async () => {
      const printed = await waybill(["migrate", "sql"], environment);
      expect(printed.code).toBe(0);
      await query(isMysql(database.url) ? printed.stdout : `begin; ${printed.stdout}; commit`);
      expect((await waybill(["migrate", "status"], environment)).code).toBe(0);
    });

    test("sql needs no database if it is told whose SQL, and says if the two differ", async () => {
      const [mine, others] = isMysql(database.url) ? ["mysql", "postgres"] : ["postgres", "mysql"];
      const printed = await waybill(["migrate", "sql"], environment);
      expect(await waybill(["migrate", "sql", "--dialect", mine], {})).toEqual(printed);
      expect(await waybill(["migrate", "sql", "--dialect", others], environment)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`--dialect: is not what the database speaks: ${mine}`),
      });
    });

    test("a migration that was changed since is refused with 3", async () => {
      await waybill(["migrate", "up"], environment);
      await query("update waybill_migration set checksum = repeat('0', length(checksum)) where set_name = 'relay'");
      const up = await waybill(["migrate", "up", "--json"], environment);
      expect(up.code).toBe(3);
      expect(JSON.parse(up.stderr)).toMatchObject({ error: { code: "WAYBILL_MIGRATION_CHANGED", facts: { set: "relay" } } });
      expect((await waybill(["migrate", "status"], environment)).code).toBe(3);
    });

    test("a set that there is not, and a database that cannot be reached, say so", async () => {
      expect(await waybill(["migrate", "up", "--set", "nonsense"], environment)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("--set: must be among sql, outbox"),
      });
      const unreachable = await waybill(["migrate", "up"], {
        WAYBILL_DATABASE: `${isMysql(database.url) ? "mysql" : "postgres"}://u:canary@127.0.0.1:1/x`,
      });
      expect(unreachable).toMatchObject({ code: 1, stdout: "" });
      expect(unreachable.stderr).not.toContain("canary");
    });
  }),
);
