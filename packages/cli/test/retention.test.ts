import { forEachDatabaseInTurn, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { emptyTables, insertMessages, isMysql, migrate, query } from "./fixtures.ts";
import { waybill } from "./waybill.ts";

await forEachDatabaseInTurn("cli retention", (server) =>
  describe(`waybill retention on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;

    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
      await migrate(database.url);
    });
    afterAll(() => database.drop());
    afterEach(() => emptyTables(database.url));

    const subscriptionAt = (name: string, lastId: number): Promise<unknown> =>
      query(
        database.url,
        isMysql(database.url)
          ? `insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', '${name}', ${lastId}, '[]', '{}')`
          : `insert into waybill_subscription (stream, subscription, last_id) values ('default', '${name}', ${lastId})`,
      );
    const allOld = (): Promise<unknown> => query(database.url, "update waybill_outbox set created_at = '2020-01-01'");
    const json = async (verb: string, ...more: string[]): Promise<[number | null, Record<string, unknown>]> => {
      const { code, stdout, stderr } = await waybill(["retention", verb, "--json", ...more], environment);
      expect(stderr).toBe("");
      return [code, JSON.parse(stdout) as Record<string, unknown>];
    };

    test("status names who keeps old history, run removes the rest, and status agrees", async () => {
      await insertMessages(database.url, 5);
      const [{ first }] = (await query(database.url, "select min(id) as first from waybill_outbox")) as [{ first: unknown }];
      const low = Number(first);
      await allOld();
      await subscriptionAt("first", low + 4);
      await subscriptionAt("slow", low + 2);
      const [code, before] = await json("status");
      expect(before["ledgers"]).toMatchObject([
        { stream: "default", lowWaterMark: { id: String(low + 3), subscription: "slow", isHeld: false }, removableUpTo: String(low + 2) },
      ]);
      expect(before["problems"]).toEqual([expect.stringContaining("nobody runs the subscription slow")]);
      expect(code).toBe(1);

      const [ranWith, ran] = await json("run");
      expect(ran["ledgers"]).toMatchObject([{ stream: "default", rows: 3, historyHindrance: null, partitionsHindrance: null }]);
      expect(ranWith).toBe(0);
      const [, after] = await json("status");
      expect(after["ledgers"]).toMatchObject([{ removedTo: String(low + 2), removableIds: "0" }]);
      expect(await query(database.url, "select id from waybill_outbox")).toHaveLength(2);
    });

    test("as tables: one line for each ledger, and nothing to complain about where nothing is old", async () => {
      await insertMessages(database.url, 1);
      const { code, stdout } = await waybill(["retention", "status"], environment);
      expect([code, stdout.split("\n")[0]]).toEqual([0, expect.stringMatching(/^STREAM +PARTITIONS +AHEAD +IDS +BYTES +LOW-WATER MARK/)]);
      expect(stdout).toContain("default");
      const ran = await waybill(["retention", "run"], environment);
      expect([ran.code, ran.stdout]).toEqual([0, "default: 0 partitions made, 0 emptied, 0 dropped, 0 rows and 0 ids removed.\n"]);
    });

    test("somebody else who is at it, a stream that there is not, and a time below the least, are told", async () => {
      const { code, stderr } = await waybill(["retention", "status", "--stream", "nowhere"], environment);
      expect([code, stderr]).toEqual([2, expect.stringContaining("--stream: is no stream of this database")]);
      const tooShort = await waybill(["retention", "run", "--retention-ms", "5"], environment);
      expect([tooShort.code, tooShort.stderr]).toEqual([2, expect.stringContaining("retentionMs: a whole number of at least 3600000")]);
    });
  }),
);
