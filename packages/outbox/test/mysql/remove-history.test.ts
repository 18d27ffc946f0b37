import { namespace } from "@waybill/sql";
import { forEachMysql } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type HistoryStatements, type HistoryStep, type RemoveHistoryOptions, removeHistory } from "../../src/index.ts";
import { type MysqlFixture, mysqlFixture } from "./mysql-fixture.ts";

const space = namespace("mysql");

await forEachMysql((server) =>
  describe(`removing history on ${server.name}`, () => {
    let fixture: MysqlFixture;

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
    });
    afterAll(() => fixture.drop());
    beforeEach(() => fixture.clear());

    /** Rows with these ids, each as many hours old. */
    const rows = async (...given: readonly (readonly [id: number, hours: number])[]): Promise<void> => {
      for (const [id, hours] of given) {
        await fixture.run(
          "insert into waybill_outbox (id, created_at, type, topic) values (?, utc_timestamp(6) - interval ? hour, 't', 'orders')",
          [id, hours],
        );
      }
    };
    const remove = (lowWaterMark: number, options: Partial<RemoveHistoryOptions> = {}) =>
      removeHistory(fixture.database, { space, lowWaterMark: async () => BigInt(lowWaterMark), ...options });
    const left = async (): Promise<readonly number[]> =>
      (await fixture.run("select id from waybill_outbox order by id")).map(({ id }) => Number(id));
    const removedTo = async (): Promise<number> => Number((await fixture.run("select removed_to from waybill_stream"))[0]?.["removed_to"]);

    it("only what is below the mark and old enough goes, and how far it came is noted", async () => {
      await rows([1, 50], [2, 49], [5, 30], [6, 25], [7, 23], [8, 2]);
      expect(await remove(6)).toEqual({ rows: 3, emptied: 0, dropped: 0, ids: 0, hindrance: null });
      expect([await left(), await removedTo()]).toEqual([[6, 7, 8], 5]);
      expect(await remove(100)).toMatchObject({ rows: 1, hindrance: null });
      expect([await left(), await removedTo()]).toEqual([[7, 8], 6]);
      expect(await remove(8, { retentionMs: 3_600_000 })).toMatchObject({ rows: 1 });
      expect([await left(), await removedTo()]).toEqual([[8], 7]);
    });

    it("a row that is young keeps what comes after it", async () => {
      await rows([1, 50], [2, 1], [3, 50]);
      expect(await remove(100)).toMatchObject({ rows: 1 });
      expect(await left()).toEqual([2, 3]);
    });

    it("a step takes a thousand rows, and the pass goes on until nothing is left or its caller ends it", async () => {
      await fixture.run(
        `insert into waybill_outbox (created_at, type, topic)
         select utc_timestamp(6) - interval 2 day, 't', 'orders' from waybill_key_lock as a cross join (select 1 union all select 2) as b`,
      );
      const steps: HistoryStep[] = [];
      const onStep = (step: HistoryStep): void => void steps.push(step);
      expect(await remove(1_000_000, { onStep, pause: async () => false })).toMatchObject({ rows: 1_000 });
      expect(await remove(1_000_000, { onStep })).toMatchObject({ rows: 1_048, hindrance: null });
      expect(steps.map((step) => step.kind === "removed" && step.rows)).toEqual([1_000, 1_000, 48]);
      expect(await left()).toEqual([]);
    });

    it("claims of callers' own ids go after seven days", async () => {
      for (const [id, days] of [
        [1, 8],
        [2, 6],
      ]) {
        await fixture.run(
          `insert into waybill_outbox_id (message_id, fingerprint, token, created_at)
           values (?, repeat('0', 64), uuid(), utc_timestamp(6) - interval ? day)`,
          [`00000000-0000-4000-8000-00000000000${id ?? 0}`, days],
        );
      }
      expect(await remove(0)).toMatchObject({ rows: 0, ids: 1 });
      expect(await fixture.run("select message_id from waybill_outbox_id")).toEqual([
        { message_id: "00000000-0000-4000-8000-000000000002" },
      ]);
    });

    it("while somebody else is at it the answer is: busy, and writers go on", async () => {
      await rows([1, 50]);
      const other = await fixture.client();
      await other.beginTransaction();
      await other.query("select name from waybill_stream where name = 'default' for update");
      expect(await remove(100)).toMatchObject({ rows: 0, hindrance: "busy" });
      await other.rollback();
      const writer = await fixture.client();
      await writer.beginTransaction();
      await writer.query("insert into waybill_outbox (type, topic) values ('t', 'orders')");
      expect(await remove(100)).toMatchObject({ rows: 1 });
      await writer.commit();
    });

    it("who finds somebody else at work waits for its turn", async () => {
      await rows([1, 50]);
      const other = await fixture.client();
      await other.beginTransaction();
      await other.query("select name from waybill_stream where name = 'default' for update");
      let looks = 0;
      const interfering: HistoryStatements = {
        execute: fixture.database.execute,
        unitOfWork: async (work, options) => {
          const outcome = await fixture.database.unitOfWork(work, options);
          if (looks++ === 0) await other.rollback();
          return outcome;
        },
      };
      expect(await removeHistory(interfering, { space, lowWaterMark: async () => 100n })).toMatchObject({ rows: 1, hindrance: null });
      expect(looks).toBeGreaterThan(1);
    });

    it("a row that appears below the mark stops the step, and nothing is removed", async () => {
      await rows([1, 50], [3, 50]);
      const writer = await fixture.client();
      const interfering: HistoryStatements = {
        execute: fixture.database.execute,
        unitOfWork: (work, options) =>
          fixture.database.unitOfWork(
            (tx) =>
              work({
                ...tx,
                execute: async (sql, values, settings) => {
                  if (/delete from `waybill_outbox`/.test(sql)) {
                    await writer.query("insert into waybill_outbox (id, type, topic) values (2, 't', 'orders')");
                  }
                  return tx.execute(sql, values, settings);
                },
              }),
            options,
          ),
      };
      await expect(removeHistory(interfering, { space, lowWaterMark: async () => 100n })).rejects.toThrow();
      expect([await left(), await removedTo()]).toEqual([[1, 2, 3], 0]);
    });

    it("facts tell that ids are behind what was removed", async () => {
      await rows([40, 50]);
      await remove(41);
      const connection = await fixture.connect();
      expect(await fixture.ledger.facts(connection, { deadlineMs: 10_000 })).toMatchObject({ unsafe: null, highestId: 40n });
      await fixture.run("truncate table waybill_outbox");
      // Every cursor has passed what was removed, so its reader sees that they went back.
      expect(await fixture.ledger.facts(connection, { deadlineMs: 10_000 })).toMatchObject({ unsafe: null, highestId: 0n });
    });
  }),
);
