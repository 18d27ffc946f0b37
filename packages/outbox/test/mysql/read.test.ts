import { type Connection, namespace, tableOf } from "@waybill/sql";
import { forEachMysql, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLedger, type IdRange, type LedgerBatch } from "../../src/index.ts";
import { holesMax } from "../../src/mysql/hole-proof.ts";
import { readIds } from "../../src/mysql/statements/read-ids.ts";
import { readWithHoles } from "../../src/mysql/statements/read-with-holes.ts";
import { insertRow, type MysqlFixture, mysqlFixture, payloadsOf, range } from "./mysql-fixture.ts";

const deadlineMs = 20_000;
const outbox = tableOf(namespace("mysql"), "outbox");
const ids = ({ rows }: LedgerBatch): readonly number[] => rows.map(({ id }) => Number(id));

await forEachMysql((server) =>
  describe(`reading the ledger on ${server.name}`, () => {
    let fixture: MysqlFixture;
    let connection: Connection;

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
      connection = await fixture.connect();
    });
    afterAll(() => fixture.drop());
    beforeEach(() => fixture.clear());

    const read = (lastId: number, holes: readonly IdRange[], rowsMax = 100, on = connection): Promise<LedgerBatch> =>
      fixture.ledger.read(on, { lastId: BigInt(lastId), holes, rowsMax, areHolesOnly: false, deadlineMs });
    const fill = (count: number): Promise<unknown> =>
      fixture.run(`insert into waybill_outbox (id, type, topic, payload)
        select high.id * 1024 + low.id + 1, 't', 'orders', 'x' from waybill_key_lock as high cross join waybill_key_lock as low
        where high.id * 1024 + low.id < ${count}`);

    it("what was read is not read again, and the first rows of everything else come first", async () => {
      await fill(20);
      const batch = await read(15, [range(2, 3), range(7, 7), range(11, 12)], 7);
      expect(ids(batch)).toEqual([2, 3, 7, 11, 12, 16, 17]);
      expect(batch.areHolesCut).toBe(false);
    });

    it("a row that commits while we read is never overtaken by a later one of its key: a read has one view", async () => {
      const first = await fixture.client();
      await first.beginTransaction();
      await first.query(insertRow, ["k", "first"]);
      await fixture.run(insertRow, ["other", "last read"]);
      let isDone = false;
      const interposed: Connection = {
        ...connection,
        readRows: async (sql, values, reader, options) => {
          const rows = await connection.readRows(sql, values, reader, options);
          if (!isDone && sql.includes("waybill_outbox")) {
            isDone = true;
            await first.commit();
            await fixture.run(insertRow, ["k", "second"]);
          }
          return rows;
        },
      };
      expect(payloadsOf(await read(2, [range(1, 1)], 100, interposed))).toEqual([]);
      expect(isDone).toBe(true);
      expect(payloadsOf(await read(2, [range(1, 1)]))).toEqual(["first", "second"]);
    });

    it("nothing beyond the last id is read when the limit cuts the search among the holes", async () => {
      await fill(32);
      const batch = await read(31, [range(1, 30)], 10);
      expect([ids(batch), batch.areHolesCut]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], true]);
      const whole = await read(31, [range(11, 30)], 21);
      expect([ids(whole).at(-1), whole.areHolesCut]).toEqual([32, false]);
    });

    it("beyond ten thousand holes the first ones are read alone, and nothing is said about the rest", async () => {
      await fill(40_010);
      const holes = Array.from({ length: holesMax + 1 }, (_, index) => range(4 * index + 1, 4 * index + 1));
      const whole = await fixture.ledger.read(connection, {
        lastId: 40_005n,
        holes: holes.slice(1),
        rowsMax: 20_000,
        areHolesOnly: false,
        deadlineMs,
      });
      expect([whole.rows.length, ids(whole).at(-1), whole.areHolesCut]).toEqual([holesMax + 5, 40_010, false]);
      const first = await fixture.ledger.read(connection, { lastId: 40_005n, holes, rowsMax: 20_000, areHolesOnly: false, deadlineMs });
      expect([first.rows.length, ids(first).at(-1), first.areHolesCut]).toEqual([holesMax, 4 * holesMax - 3, true]);
    });

    it("a row whose time is out of every calendar is read like any other, and stops nobody", async () => {
      const writer = await fixture.client();
      await writer.query("set session sql_mode = ''");
      for (const time of ["0000-00-00 00:00:00", "9999-12-31 23:59:59.999999", "2026-01-02 03:04:05.678"]) {
        await writer.query("insert into waybill_outbox (type, topic, created_at) values ('t', 'orders', ?)", [time]);
      }
      const expected = [Date.parse("0000-01-01T00:00:00.000Z"), Date.parse("9999-12-31T23:59:59.999Z"), Date.UTC(2026, 0, 2, 3, 4, 5, 678)];
      expect((await read(0, [])).rows.map(({ createdAtMs }) => createdAtMs)).toEqual(expected);
      const whole = await fixture.ledger.readIds(connection, [1n, 2n, 3n], { deadlineMs });
      expect(whole.map(({ createdAtMs }) => createdAtMs)).toEqual(expected);
    });

    it("large payloads stay in the database until they are asked for, and bytes come as they are", async () => {
      for (const size of [16_384, 16_385, 900_000]) await fixture.run(insertRow, ["k", "x".repeat(size)]);
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
      for (const value of [bytes, Buffer.alloc(3_000_000, 0xf7)]) {
        await fixture.run("insert into waybill_outbox (type, topic, payload_bytes) values ('t', 'orders', ?)", [value]);
      }
      const { rows } = await read(0, []);
      expect(rows.map(({ payload, leftBytes }) => [payload?.length ?? null, leftBytes])).toEqual([
        [16_384, null],
        [null, 16_385],
        [null, 900_000],
        [256, null],
        [null, 3_000_000],
      ]);
      expect(rows[3]?.payload).toEqual(bytes);
      const whole = await fixture.ledger.readIds(connection, [2n, 4n, 5n, 99n], { deadlineMs });
      expect(whole.map(({ id, leftBytes }) => [id, leftBytes])).toEqual([
        [2n, null],
        [4n, null],
        [5n, null],
      ]);
      expect(whole[1]?.payload).toEqual(bytes);
      expect(Buffer.compare(whole[2]?.payload as Buffer, Buffer.alloc(3_000_000, 0xf7))).toBe(0);
    });

    it("every read is one scan of the primary key by ranges, without a sort, up to ten thousand holes", async () => {
      await fill(50_000);
      await fixture.run("analyze table waybill_outbox");
      const explainer = await fixture.connect();
      await fixture.ledger.facts(explainer, { deadlineMs }); // sets the session up
      for (const count of [2, 100, holesMax]) {
        const holes = Array.from({ length: count }, (_, index) => range(4 * index + 1, 4 * index + 2));
        for (const sql of [
          readWithHoles(outbox, 49_000n, holes, 500),
          readWithHoles(outbox, null, holes, 500),
          readIds(
            outbox,
            holes.map(({ low }) => low),
          ),
        ]) {
          const plan = JSON.stringify(await explainer.query(`explain format = json ${sql}`, []));
          expect(plan, sql.slice(0, 200)).toMatch(/range/);
          expect(plan).toMatch(/PRIMARY/);
          expect(plan).not.toMatch(/filesort|Sort:|Table scan|Index scan on|"ALL/i);
        }
      }
    });

    it("a million ids of a rolled-back insert are one range, and reading past them is quick", async () => {
      await fixture.run("alter table waybill_outbox auto_increment = 900001");
      await fixture.run(insertRow, ["k", "after"]);
      expect(ids(await read(0, []))).toEqual([900_001]);
      expect(ids(await read(900_001, [range(1, 900_000)]))).toEqual([]);
    });

    it("a read beyond its deadline is given up, and its connection with it", async () => {
      const doomed = await fixture.connect();
      await read(0, [], 10, doomed);
      const blocker = await fixture.client();
      await blocker.query("lock tables waybill_outbox write");
      await expect(
        fixture.ledger.read(doomed, { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs: 50 }),
      ).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
      await waitUntil(() => doomed.lost.aborted, { what: "the connection is gone" });
      await blocker.query("unlock tables");
    });

    it("facts tell server, ledger, counter and clock, and the counter knows ids of open transactions and rolled-back ones", async () => {
      const before = await fixture.ledger.facts(connection, { deadlineMs });
      expect(before).toMatchObject({ isReadOnly: false, highestId: 0n, unsafe: null });
      expect(before.serverIdentity).toMatch(fixture.isMariadb ? /^.+:\d+\/\d+$/ : /^[0-9a-f-]{36}$/);
      expect(before.ledgerIdentity).toMatch(/^[0-9a-f-]{36}$/);
      const writer = await fixture.client();
      await writer.beginTransaction();
      await writer.query("insert into waybill_outbox (type, topic) values ('t', 'orders'), ('t', 'orders')");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).highestId).toBe(2n);
      await writer.rollback();
      const after = await fixture.ledger.facts(await fixture.connect(), { deadlineMs });
      expect(after).toMatchObject({ highestId: 2n, serverIdentity: before.serverIdentity, ledgerIdentity: before.ledgerIdentity });
      await fixture.run("truncate table waybill_outbox");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).highestId).toBe(0n);
    });

    it("two ledgers of different names share a connection", async () => {
      await fixture.run("create table acme_outbox like waybill_outbox");
      const other = createLedger({ space: namespace("mysql", { prefix: "acme_" }) });
      await fixture.run(insertRow, ["k", "here"]);
      expect((await other.read(connection, { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs })).rows).toEqual([]);
      expect(payloadsOf(await read(0, []))).toEqual(["here"]);
      await fixture.run("drop table acme_outbox");
    });
  }),
);
