/**
 * The fence, against what makes every look at locks a guess. Each counter-example shows three things: that nobody holds a lock on the id –
 * so whoever took that for a proof would forget the hole; that a message comes there all the same, or could have; and that with the fence
 * it is delivered, or its writer is told.
 */
import { catalogue, message } from "@waybill/core";
import type { Connection } from "@waybill/sql";
import { forEachMysql, manualClock, waitUntil } from "@waybill/testing";
import type { Connection as Client } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, countIds, type FenceReport, type HoleProof, type IdRange, type LedgerBatch } from "../../src/index.ts";
import { insertRow, type MysqlFixture, mysqlFixture, payloadsOf, range } from "./mysql-fixture.ts";

const deadlineMs = 20_000;
const shop = catalogue({
  source: "/order-service",
  noted: message<{ readonly n: number | string }>({ type: "shop.note.v1", topic: "notes", key: ({ n }) => String(n) }),
});

await forEachMysql((server) =>
  describe(`the fence on ${server.name}`, () => {
    let fixture: MysqlFixture;
    let connection: Connection;
    let writer: Client;
    let proof: HoleProof;
    let reports: FenceReport[];

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
      connection = await fixture.connect();
      // A row with this key waits, its id in hand, until the lock is free: what a thread that is not being run would do.
      await fixture.run(`create trigger waits before insert on waybill_outbox for each row
        begin if new.\`key\` = 'waits' then
          do get_lock(concat(database(), '.pause'), 30);
          do release_lock(concat(database(), '.pause'));
        end if; end`);
    });
    afterAll(() => fixture.drop());
    beforeEach(async () => {
      await fixture.clear();
      writer = await fixture.client();
      reports = [];
      proof = fixture.ledger.beginHoleProof({ fenceAfterMs: 0, onFence: (report) => reports.push(report) });
    });
    afterEach(() => writer.destroy());

    const look = (holes: readonly IdRange[], of = proof): Promise<readonly IdRange[]> => of.look(connection, holes, { deadlineMs });
    const batch = (lastId: number, holes: readonly IdRange[]): Promise<LedgerBatch> =>
      fixture.ledger.read(connection, { lastId: BigInt(lastId), holes, rowsMax: 1_000, areHolesOnly: false, deadlineMs });
    const read = async (lastId: number, holes: readonly IdRange[]): Promise<readonly unknown[]> => payloadsOf(await batch(lastId, holes));
    /** What a look at locks would say: nothing there, and nobody holds anything. */
    const nobodyLocks = async (id: number): Promise<boolean> =>
      (await connection.query(`select id from waybill_outbox where id = ${id} for update nowait`, [])).length === 0;
    const counter = async (): Promise<bigint> => (await fixture.ledger.facts(connection, { deadlineMs })).highestId;
    /** Makes rows with the key `waits` wait, until `go` is called. */
    const pause = async (): Promise<{ go(): Promise<void> }> => {
      const holder = await fixture.client();
      await holder.query("do get_lock(concat(database(), '.pause'), 30)");
      return {
        go: async () => {
          await holder.query("do release_lock(concat(database(), '.pause'))");
        },
      };
    };
    const values = (...rows: readonly (readonly [key: string, payload: string])[]): string =>
      `insert into waybill_outbox (type, topic, \`key\`, payload) values ${rows.map(([key, payload]) => `('t', 'orders', '${key}', '${payload}')`).join(", ")}`;
    const waitsForLock = async (client: Client, state: string): Promise<void> => {
      await waitUntil(
        async () =>
          (await fixture.run("select 1 from information_schema.processlist where id = ? and state like ?", [client.threadId, state]))
            .length > 0,
        { what: `a session is in the state ${state}`, deadlineMs },
      );
    };

    describe("what it does", () => {
      it("takes the ids of a rolled-back transaction, and they end with the next read", async () => {
        await writer.beginTransaction();
        await writer.query(values(["a", "undone"], ["a", "undone"]));
        await fixture.run(insertRow, ["k", "fast"]);
        await writer.rollback();
        expect(await look([range(1, 2)])).toEqual([]);
        expect(await read(3, [range(1, 2)])).toEqual(["fence", "fence"]);
        expect(reports).toEqual([
          { kind: "fencing", ids: 2 },
          { kind: "fenced", ids: 2 },
        ]);
      });

      it("leaves an open transaction's ids alone, for ever, and its row is read when it commits", async () => {
        await writer.beginTransaction();
        await writer.query(insertRow, ["k", "slow"]);
        await fixture.run(insertRow, ["k", "fast"]);
        for (let count = 0; count < 5; count += 1) await look([range(1, 1)]);
        await writer.commit();
        expect(reports).toEqual([]);
        expect(await read(2, [range(1, 1)])).toEqual(["slow"]);
      });

      it("leaves a hole to its writer for thirty seconds if nothing else was said", async () => {
        const clock = manualClock();
        const patient = fixture.ledger.beginHoleProof({ clock });
        await fixture.run("alter table waybill_outbox auto_increment = 5");
        await fixture.run(insertRow, ["k", "after"]);
        await look([range(1, 4)], patient);
        await clock.advance(29_999);
        await look([range(1, 4)], patient);
        expect(await read(5, [range(1, 4)])).toEqual([]);
        await clock.advance(1);
        await look([range(1, 4)], patient);
        expect(await read(5, [range(1, 4)])).toEqual(["fence", "fence", "fence", "fence"]);
      });

      it("takes all dead runs beside one that is alive, and never that one", async () => {
        await fixture.run("alter table waybill_outbox auto_increment = 601");
        await writer.beginTransaction();
        await writer.query(insertRow, ["k", "slow"]);
        // On a table of a few rows MySQL searches by scanning all of it, and meets the lock wherever it looks.
        await fixture.run("insert into waybill_outbox (id, type, topic) select 1201 + id, 't', 'orders' from waybill_key_lock");
        const holes = Array.from({ length: 400 }, (_, index) => range(3 * index + 1, 3 * index + 2));
        await look(holes);
        const { rows } = await batch(3_000, holes);
        expect(rows).toHaveLength(798);
        expect(rows.map(({ id }) => id)).not.toContain(601n);
        await writer.commit();
        expect(await read(3_000, [range(601, 602)])).toEqual(["slow"]);
      });

      it("a row that came in between is not fenced, and what is left of its hole is", async () => {
        await fixture.run("alter table waybill_outbox auto_increment = 9");
        await fixture.run(insertRow, ["k", "after"]);
        await fixture.run("insert into waybill_outbox (id, type, topic, payload) values (4, 't', 'orders', 'by hand')");
        await look([range(1, 8)]);
        expect(await read(9, [range(1, 8)])).toEqual(["by hand"]);
        // The reader's holes are split by what it read; the pieces are due as soon as the run has been left alone for a moment.
        const left = [range(1, 3), range(5, 8)];
        await waitUntil(async () => (await look(left), (await batch(9, left)).rows.length === 7), {
          what: "the rest is fenced",
          deadlineMs,
        });
      });

      it("its session waits for other locks as long as before", async () => {
        const wait = async (): Promise<unknown> =>
          (await connection.query("select @@session.innodb_lock_wait_timeout as seconds", []))[0]?.["seconds"];
        const before = await wait();
        await fixture.run("alter table waybill_outbox auto_increment = 3");
        await look([range(1, 2)]);
        expect(await wait()).toEqual(before);
      });

      it("a rolled-back INSERT … SELECT of 100 000 rows leaves ids that are all taken", { timeout: 120_000 }, async () => {
        await writer.beginTransaction();
        await writer.query(`insert into waybill_outbox (type, topic)
          select 't', 'orders' from waybill_key_lock as a cross join waybill_key_lock as b where b.id < 98 limit 100000`);
        await writer.rollback();
        await fixture.run(insertRow, ["k", "after"]);
        const last = Number(await counter());
        expect(last).toBeGreaterThanOrEqual(100_001);
        const hole = [range(1, last - 1)];
        await waitUntil(
          async () => {
            await look(hole);
            return reports.reduce((ids, report) => ids + (report.kind === "fenced" ? report.ids : 0), 0) === last - 1;
          },
          { what: "all ids are taken", deadlineMs: 100_000 },
        );
        const [found] = await fixture.run("select count(*) as fences from waybill_outbox where type = '' and topic = ''");
        expect(Number(found?.["fences"])).toBe(last - 1);
      });

      it("an id set by hand far ahead leaves a hole that is kept, and told of once", async () => {
        await fixture.run(insertRow, ["k", "before"]);
        await fixture.run("insert into waybill_outbox (id, type, topic, payload) values (5000000, 't', 'orders', 'far ahead')");
        const hole = range(2, 4_999_999);
        for (let count = 0; count < 3; count += 1) expect(await look([hole])).toEqual([]);
        expect(reports).toEqual([{ kind: "tooLong", ranges: 1, ids: countIds([hole]) }]);
        await fixture.run("insert into waybill_outbox (id, type, topic, payload) values (77, 't', 'orders', 'by hand')");
        expect(await read(5_000_000, [hole])).toEqual(["by hand"]);
      });

      it("where history was removed nothing has to be taken", async () => {
        await fixture.run("alter table waybill_outbox auto_increment = 9000001");
        await fixture.run(insertRow, ["k", "still there"]);
        await fixture.run("update waybill_stream set removed_to = 8999990");
        expect(await look([range(1, 9_000_000)])).toEqual([range(1, 8_999_990)]);
        // Rows below that note are of another history: ids went back, and the note says nothing about them.
        await fixture.run("insert into waybill_outbox (id, type, topic) values (8999980, 't', 'orders')");
        expect(await look([range(1, 8_999_979)])).toEqual([]);
      });

      it("a server that takes no writes proves nothing", async () => {
        const standby = await fixture.connect();
        await standby.execute("set session transaction read only", []);
        await expect(proof.look(standby, [range(1, 1)], { deadlineMs })).rejects.toMatchObject({ code: "WAYBILL_READ_ONLY" });
      });
    });

    describe("counter-examples: nobody locks the id", () => {
      /** A statement of two rows that has its ids, 1 and 2, and waits between its rows; and a later row, 3, that was read. */
      const waitInTheMiddle = async (): Promise<{ readonly inserted: Promise<unknown>; go(): Promise<void> }> => {
        const { go } = await pause();
        await writer.beginTransaction();
        const inserted = writer.query(values(["k", "first"], ["waits", "second"]));
        inserted.catch(() => undefined);
        await waitsForLock(writer, "User lock");
        await fixture.run(insertRow, ["k", "fast"]);
        expect(await read(0, [])).toEqual(["fast"]);
        expect(await counter()).toBe(3n);
        return { inserted, go };
      };

      it("a multi-row insert waiting in its middle: its later rows have ids, and no row and no lock", async () => {
        const { inserted, go } = await waitInTheMiddle();
        expect(await nobodyLocks(2)).toBe(true);
        // The run is probed whole, and its head is locked.
        for (let count = 0; count < 5; count += 1) await look([range(1, 2)]);
        await go();
        await inserted;
        await writer.commit();
        expect(await read(3, [range(1, 2)])).toEqual(["first", "second"]);
      });

      it("an insert that waits for a gap lock with its id already taken", async () => {
        const { inserted, go } = await waitInTheMiddle();
        // Any purge at REPEATABLE READ makes such a gap: here of id 2, before row 3.
        const purger = await fixture.client();
        await purger.query("set session transaction isolation level repeatable read");
        await purger.beginTransaction();
        await purger.query("select id from waybill_outbox where id = 2 for update");
        await go();
        await waitUntil(
          async () =>
            (
              await fixture.run("select 1 from information_schema.innodb_trx where trx_mysql_thread_id = ? and trx_state = 'LOCK WAIT'", [
                writer.threadId,
              ])
            ).length > 0,
          // The server refreshes what it tells of transactions only when nobody has asked for a tenth of a second.
          { what: "the insert waits for the gap", deadlineMs, intervalMs: 150 },
        );
        expect(await nobodyLocks(2)).toBe(true);
        await look([range(2, 2)]);
        expect(reports).toEqual([{ kind: "fencing", ids: 1 }]); // tried, and refused by the gap
        await purger.rollback();
        await inserted;
        await writer.commit();
        expect(await read(3, [range(1, 2)])).toEqual(["first", "second"]);
      });

      it("a paused writer that meets the fence is told with 1062, and nothing of it is there", async () => {
        const { inserted, go } = await waitInTheMiddle();
        expect(await nobodyLocks(2)).toBe(true);
        await look([range(2, 2)]);
        await go();
        await expect(inserted).rejects.toMatchObject({ errno: 1062 });
        await writer.rollback();
        await look([range(1, 1)]);
        expect(await read(3, [range(1, 2)])).toEqual(["fence", "fence"]);
      });

      it("append meets the fence, and succeeds on its retry with new ids", async () => {
        const { go } = await pause();
        await writer.beginTransaction();
        const appended = append(writer, shop.noted({ n: 1 }), shop.noted({ n: "waits" }), shop.noted({ n: 3 }));
        await waitsForLock(writer, "User lock");
        await fixture.run(insertRow, ["k", "fast"]);
        expect(await nobodyLocks(2)).toBe(true);
        await look([range(2, 2)]);
        await go();
        const ids = await appended;
        await writer.commit();
        const later = (await batch(4, [range(1, 3)])).rows;
        expect(payloadsOf({ rows: later, areHolesCut: false })).toEqual(["fence", '{"n":1}', '{"n":"waits"}', '{"n":3}']);
        expect(later.slice(1).map(({ messageId }) => messageId)).toEqual(ids);
        expect(later[0]?.id).toBe(2n);
        expect(later[1]?.id).toBeGreaterThan(4n);
      });

      it("append that is fenced twice throws", async () => {
        const first = await pause();
        await writer.beginTransaction();
        const appended = append(writer, shop.noted({ n: 1 }), shop.noted({ n: "waits" }));
        appended.catch(() => undefined);
        await waitsForLock(writer, "User lock");
        // Queues behind the writer, and so stops it again at its second try.
        const second = await fixture.client();
        const queued = second.query("do get_lock(concat(database(), '.pause'), 30)");
        await waitsForLock(second, "User lock");
        await fixture.run(insertRow, ["k", "fast"]);
        await look([range(2, 2)]);
        await first.go();
        await queued;
        await waitsForLock(writer, "User lock");
        const again = Number(await counter());
        await look([range(again, again)]);
        await second.query("do release_lock(concat(database(), '.pause'))");
        await expect(appended).rejects.toMatchObject({ code: "WAYBILL_DATABASE", facts: { errno: 1062 } });
        await writer.rollback();
      });

      it("why writers use a plain insert: IGNORE swallows the fence, and the message with it", async () => {
        const { go } = await pause();
        await writer.beginTransaction();
        const inserted = writer.query(values(["k", "first"], ["waits", "second"]).replace("insert into", "insert ignore into"));
        await waitsForLock(writer, "User lock");
        await fixture.run(insertRow, ["k", "fast"]);
        await look([range(2, 2)]);
        await go();
        await inserted;
        await writer.commit();
        expect(await read(3, [range(1, 2)])).toEqual(["first", "fence"]);
      });
    });
  }),
);
