import { forEachPostgres, type TestDatabase, testDatabase } from "@waybill/testing";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { waybill } from "./waybill.ts";

forEachPostgres((server) =>
  describe(`waybill migrate on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    beforeEach(async () => {
      database = await testDatabase({ url: server.url });
      environment = { WAYBILL_DATABASE: database.url };
    });
    afterEach(() => database.drop());

    async function query(sql: string): Promise<readonly Record<string, unknown>[]> {
      const client = new Client({ connectionString: database.url });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql)).rows;
      } finally {
        await client.end();
      }
    }

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
      const place = ["--set", "sql", "--set", "inbox", "--schema", "app", "--prefix", "wb_"];
      expect((await waybill(["migrate", "up", ...place], environment)).code).toBe(0);
      const tables = await query(
        "select schemaname || '.' || tablename as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
      );
      expect(tables.map(({ name }) => String(name)).every((name) => name.startsWith("app.wb_"))).toBe(true);
      expect(tables.map(({ name }) => name)).toContain("app.wb_inbox");
      expect(tables.map(({ name }) => name)).not.toContain("app.wb_outbox");
    });

    test("sql prints what another tool can apply, and status agrees with it", async () => {
      const printed = await waybill(["migrate", "sql"], {});
      expect(printed.code).toBe(0);
      await query(`begin; ${printed.stdout}; commit`);
      expect((await waybill(["migrate", "status"], environment)).code).toBe(0);
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
      const unreachable = await waybill(["migrate", "up"], { WAYBILL_DATABASE: "postgres://u:canary@127.0.0.1:1/x" });
      expect(unreachable).toMatchObject({ code: 1, stdout: "" });
      expect(unreachable.stderr).not.toContain("canary");
    });
  }),
);
