import { readdir, readFile } from "node:fs/promises";
import { systemClock } from "@waybill/core";
import { namespace } from "@waybill/sql";
import { forEachPostgres, waitUntil } from "@waybill/testing";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import {
  createDelayedMessages,
  type HistoryStatements,
  type HistoryStep,
  keepPartitions,
  measureLedger,
  nothingPassedOver,
  type RemoveHistoryOptions,
  removeHistory,
} from "../../src/index.ts";
import { ledgerTables } from "../../src/ledger-tables.ts";
import { keepPostgresPartitions } from "../../src/postgres/partitions.ts";
import { dropEmptyPartition } from "../../src/postgres/statements/drop-empty-partition.ts";
import { insertRow, type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";

const space = namespace("postgres");

/** The rights that the migrations ask for in their comments. */
async function grantsToRelay(): Promise<readonly string[]> {
  const folder = new URL("../../sql/postgres/", import.meta.url);
  const files = await Promise.all((await readdir(folder)).toSorted().map((name) => readFile(new URL(name, folder), "utf8")));
  return files.flatMap((text) =>
    [...text.matchAll(/^-- +(grant .*waybill_relay;)$/gm)].map(([, grant]) => String(grant).replace(" to app,", " to")),
  );
}

/** Has `then` happen, and waits for it, after the first statement with `part` in it. */
function whileTaking(statements: HistoryStatements, part: string, then: () => Promise<unknown>): HistoryStatements {
  let isTaken = false;
  return {
    execute: statements.execute,
    unitOfWork: (work, options) =>
      statements.unitOfWork(
        (tx) =>
          work({
            ...tx,
            query: async (sql, values, settings) => {
              const rows = await tx.query(sql, values, settings);
              if (!isTaken && sql.includes(part)) {
                isTaken = true;
                await then();
              }
              return rows;
            },
          }),
        options,
      ),
  };
}

forEachPostgres((server) =>
  describe(`removing history on ${server.name}`, () => {
    let fixture: OutboxFixture;
    const opened: OutboxFixture[] = [];

    beforeEach(async () => {
      fixture = await outboxFixture(server);
      opened.push(fixture);
    });
    afterAll(() => Promise.all(opened.map((each) => each.drop())));

    /** Rows with these ids, each as many hours old. */
    const rows = async (...given: readonly (readonly [id: number, hours: number])[]): Promise<void> => {
      for (const [id, hours] of given) {
        await fixture.run(
          `insert into waybill_outbox (id, created_at, type, topic) overriding system value
           values ($1, clock_timestamp() - $2 * interval '1 hour', 't', 'orders')`,
          [id, hours],
        );
      }
    };
    /** From now on ids come from here. */
    const atId = (id: number): Promise<unknown> => fixture.run("select setval('waybill_outbox_id_seq', $1)", [id]);
    const noPause = async (): Promise<boolean> => true;
    const remove = (lowWaterMark: number, options: Partial<RemoveHistoryOptions> = {}) =>
      removeHistory(fixture.database, { space, lowWaterMark: async () => BigInt(lowWaterMark), pause: noPause, ...options });
    const left = async (): Promise<readonly number[]> =>
      (await fixture.run("select id from waybill_outbox order by id")).map(({ id }) => Number(id));
    const removedTo = async (): Promise<number> => Number((await fixture.run("select removed_to from waybill_stream"))[0]?.["removed_to"]);
    const partitions = async (): Promise<readonly string[]> =>
      (
        await fixture.run(
          "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'waybill_outbox'::regclass order by 1",
        )
      )
        .map(({ name }) => String(name).replace("waybill_outbox_", ""))
        .toSorted();
    const isBusy = async (id: number): Promise<void> => {
      // Half a partition's worth of recent ids: a busy ledger, whose history goes by partitions only.
      await rows([id - 600_000, 0], [id, 0]);
      await atId(id);
    };

    it("a partition goes whole when all of it is below the mark and old, and is dropped when the ledger is free", async () => {
      await rows([1, 60], [999_999, 50], [1_000_001, 40], [2_000_000, 30], [2_000_001, 2]);
      await isBusy(2_900_000);
      const steps: HistoryStep[] = [];
      expect(await remove(2_000_001, { onStep: (step) => steps.push(step) })).toEqual({
        rows: 0,
        emptied: 2,
        dropped: 2,
        ids: 0,
        hindrance: null,
      });
      expect(steps).toEqual([
        { kind: "emptied", low: 1n, upTo: 1_000_000n },
        { kind: "emptied", low: 1_000_001n, upTo: 2_000_000n },
        { kind: "dropped", low: 1n },
        { kind: "dropped", low: 1_000_001n },
      ]);
      expect([await left(), await removedTo()]).toEqual([[2_000_001, 2_300_000, 2_900_000], 2_000_000]);
      expect(await partitions()).toEqual(["default", "p2000001"]);
    });

    it("the mark keeps the whole partition it lies in, and so does one row that is young", async () => {
      await rows([1, 60], [999_999, 60], [1_000_000, 60], [1_000_001, 50], [2_000_000, 50]);
      await isBusy(2_900_000);
      expect(await remove(2_000_000)).toMatchObject({ emptied: 1, dropped: 1 });
      expect(await left()).toContain(1_000_001);
      await fixture.run("update waybill_outbox set created_at = clock_timestamp() where id = 2000000");
      expect(await remove(2_000_001)).toMatchObject({ emptied: 0, dropped: 0 });
      expect(await remove(2_000_001, { retentionMs: 3_600_000 })).toMatchObject({ emptied: 0 });
    });

    it("which row is the newest is told by the number of its id, not by its text", async () => {
      await rows([999_999, 60], [1_000_000, 1]);
      await isBusy(2_900_000);
      expect(await remove(2_000_001)).toMatchObject({ emptied: 0 });
    });

    it("without a subscription nothing goes; a mark beyond the ledger drops no room ahead of it", async () => {
      await rows([1, 60]);
      await atId(1);
      expect(await remove(0)).toMatchObject({ rows: 0, emptied: 0, dropped: 0 });
      expect(await remove(2_500_000)).toMatchObject({ rows: 1, emptied: 0, dropped: 0 });
      expect(await partitions()).toEqual(["default", "p1", "p1000001", "p2000001"]);
    });

    it("a quiet ledger keeps its promise: of a partition that takes long to fill the old rows go by ranges", async () => {
      await fixture.run(
        `insert into waybill_outbox (created_at, type, topic)
         select clock_timestamp() - (case when n <= 2500 then 49 else 1 end) * interval '1 hour', 't', 'orders' from generate_series(1, 2600) n`,
      );
      const steps: HistoryStep[] = [];
      expect(await remove(2_601, { onStep: (step) => steps.push(step) })).toMatchObject({ rows: 2_500, emptied: 0 });
      expect(steps.map((step) => step.kind === "removed" && step.rows)).toEqual([1_000, 1_000, 500]);
      expect([(await left())[0], await removedTo()]).toEqual([2_501, 2_500]);
      expect(await remove(2_601)).toMatchObject({ rows: 0 });
    });

    it("a row that appears below the mark stops the range, and nothing is removed", async () => {
      await rows([1, 50], [3, 50]);
      await atId(3);
      const writer = await fixture.client();
      const interfering = {
        execute: fixture.database.execute,
        unitOfWork: ((work, options) =>
          fixture.database.unitOfWork(
            (tx) =>
              work({
                ...tx,
                execute: async (sql, values, settings) => {
                  if (/delete from "waybill_outbox"/.test(sql)) {
                    await writer.query("insert into waybill_outbox (id, type, topic) overriding system value values (2, 't', 'orders')");
                  }
                  return tx.execute(sql, values, settings);
                },
              }),
            options,
          )) as OutboxFixture["database"]["unitOfWork"],
      };
      await expect(removeHistory(interfering, { space, lowWaterMark: async () => 100n })).rejects.toThrow("A row appeared");
      expect([await left(), await removedTo()]).toEqual([[1, 2, 3], 0]);
    });

    it("rows in the default partition go all together, once new ids have a place of their own and none of them is needed or young", async () => {
      await atId(3_200_000);
      await fixture.run(insertRow, ["late", "1"]);
      await fixture.run("update waybill_outbox set created_at = clock_timestamp() - interval '3 days'");
      expect(await remove(3_200_002)).toMatchObject({ rows: 1 }); // so few that they go as a range
      await fixture.run("insert into waybill_outbox (type, topic) select 't', 'orders' from generate_series(1, 10)");
      await fixture.run("update waybill_outbox set created_at = clock_timestamp() - interval '3 days'");
      await keepPartitions(fixture.database, { space });
      await atId(5_000_001);
      expect(await remove(3_200_005)).toMatchObject({ emptied: 0, rows: 0 });
      expect(await left()).toHaveLength(10);
      expect(await remove(5_000_002)).toMatchObject({ emptied: 1 });
      // The partition behind them was passed over, too.
      expect([await left(), await removedTo()]).toEqual([[], 4_500_000]);
      await fixture.run(insertRow, ["after", "1"]);
      expect(await left()).toEqual([5_000_002]);
    });

    it("a long reader keeps its partitions as long as it is open, and no writer waits for that", async () => {
      await rows([1, 60], [1_000_001, 50]);
      await isBusy(2_900_000);
      const reader = await fixture.client();
      await reader.query("begin isolation level repeatable read");
      await reader.query("select count(*) from waybill_outbox");
      expect(await remove(2_000_001)).toMatchObject({ emptied: 0, dropped: 0, hindrance: "locked" });
      expect((await reader.query("select count(*)::int as n from waybill_outbox")).rows).toEqual([{ n: 4 }]);
      await reader.query("commit");
      expect(await remove(2_000_001)).toMatchObject({ emptied: 2, dropped: 2, hindrance: null });
    });

    it("of an empty partition the room stays as long as a writer is open, without anybody waiting longer than the drop may", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query(insertRow, ["open", "1"]);
      expect(await remove(1_000_001)).toMatchObject({ emptied: 1, dropped: 0, hindrance: null });
      await writer.query("commit");
      expect(await remove(1_000_001)).toMatchObject({ emptied: 0, dropped: 1 });
    });

    it("a writer that was open before every subscription keeps the partition its row lies in", async () => {
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query("insert into waybill_outbox (created_at, type, topic) values (clock_timestamp() - interval '2 days', 't', 'old')");
      await rows([2, 60]);
      await isBusy(2_900_000);
      // The mark of a subscription that began now: it does not know of the open row.
      expect(await remove(2_900_001)).toMatchObject({ emptied: 0, dropped: 0, hindrance: "locked" });
      await writer.query("commit");
      expect(await left()).toContain(1);
    });

    it("what such a writer writes into a partition that was emptied meanwhile is kept for its own time, and its room with it", async () => {
      await rows([2, 60]);
      await isBusy(2_900_000);
      const writer = await fixture.client();
      await writer.query("begin");
      // It has its id, and no row: a trigger that takes its time would do the same.
      await writer.query("lock table only waybill_outbox in row exclusive mode");
      expect(await remove(1_000_001)).toMatchObject({ emptied: 1, dropped: 0 });
      await writer.query("insert into waybill_outbox (id, type, topic) overriding system value values (1, 't', 'late')");
      await writer.query("commit");
      expect(await remove(1_000_001)).toMatchObject({ emptied: 0, dropped: 0, hindrance: null });
      expect(await left()).toContain(1);
      await fixture.run("update waybill_outbox set created_at = clock_timestamp() - interval '2 days' where id = 1");
      expect(await remove(1_000_001)).toMatchObject({ emptied: 1, dropped: 1 });
    });

    it("an id of a partition that was dropped goes to the default one: nothing fails", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      expect(await remove(1_000_001)).toMatchObject({ emptied: 1, dropped: 1 });
      await rows([5, 0]);
      expect(await fixture.run("select tableoid::regclass::text as place from waybill_outbox where id = 5")).toEqual([
        { place: "waybill_outbox_default" },
      ]);
    });

    it("while somebody else is at it the answer is: busy", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      const other = await fixture.client();
      await other.query("begin; select name from waybill_stream where name = 'default' for update");
      expect(await remove(1_000_001)).toMatchObject({ emptied: 0, hindrance: "busy" });
      await other.query("rollback");
    });

    it("of many at once each partition is emptied once", async () => {
      await rows([1, 60], [1_000_001, 60]);
      await isBusy(2_900_000);
      const passes = await Promise.all(Array.from({ length: 4 }, () => remove(2_000_001)));
      let count = passes.reduce((sum, { emptied }) => sum + emptied, 0);
      // Whoever came last may have found everybody else at it, and who comes after them the server itself.
      await waitUntil(
        async () => {
          count += (await remove(2_000_001)).emptied;
          return count >= 2;
        },
        { what: "both are emptied" },
      );
      expect(count).toBe(2);
      expect(await left()).toEqual([2_300_000, 2_900_000]);
      expect(await partitions()).toEqual(["default", "p2000001"]);
    });

    it("a mark that falls before a step has the lock keeps what it asks for", async () => {
      await rows([1, 60], [1_000_001, 60]);
      await isBusy(2_900_000);
      let asked = 0;
      // The second step finds that a subscription was set back after the first.
      const lowWaterMark = async (): Promise<bigint> => (asked++ === 0 ? 2_000_001n : 1_000_001n);
      expect(await remove(0, { lowWaterMark })).toMatchObject({ emptied: 1 });
      expect(await left()).toContain(1_000_001);
    });

    it("a role that does not own the table says so, and forgets old ids where it may", async () => {
      const role = `waybill_test_${Math.random().toString(36).slice(2, 10)}`;
      await fixture.run(`create role ${role}`);
      try {
        await fixture.run(`grant select on waybill_outbox to ${role}`);
        await fixture.run(`grant select, update on waybill_stream to ${role}`);
        await fixture.run(`grant select on sequence waybill_outbox_id_seq to ${role}`);
        await fixture.run(`grant select, delete on waybill_outbox_id to ${role}`);
        await fixture.run(
          `insert into waybill_outbox_id (message_id, fingerprint, created_at)
           select gen_random_uuid(), 'f', clock_timestamp() - d * interval '1 day' from unnest(array[6, 8]) d`,
        );
        await rows([1, 60]);
        await isBusy(2_900_000);
        const connection = await fixture.connect();
        await connection.query(`set role ${role}`, []);
        const options = { space, lowWaterMark: async () => 1_000_001n };
        expect(await removeHistory(connection, options)).toEqual({ rows: 0, emptied: 0, dropped: 0, ids: 1, hindrance: "notOwner" });
      } finally {
        await fixture.run(`drop owned by ${role}`);
        await fixture.run(`drop role ${role}`);
      }
    });

    it("a relay's role, with the rights that the migrations ask for and no more, can measure, move and forget", async () => {
      const role = `waybill_test_${Math.random().toString(36).slice(2, 10)}`;
      await fixture.run(`create role ${role}`);
      try {
        for (const grant of await grantsToRelay()) await fixture.run(grant.replaceAll("waybill_relay", role));
        await fixture.run(
          `insert into waybill_outbox_delayed (due_at, type, topic, key) values (clock_timestamp() - interval '1 minute', 't', 'orders', 'k')`,
        );
        const connection = await fixture.connect();
        await connection.query(`set role ${role}`, []);
        expect(await createDelayedMessages({ space }).moveDue(connection, { passedOver: nothingPassedOver })).toMatchObject({
          messages: 1,
        });
        expect(await measureLedger(connection, space, { neededFrom: 1n })).toMatchObject({ highestId: 1n, partitions: { defaultRows: 0 } });
        await atId(2_999_999);
        await rows([3_000_005, 60]);
        expect(await measureLedger(connection, space, { neededFrom: 1n })).toMatchObject({ partitions: { defaultRows: 1 } });
        expect(await keepPartitions(connection, { space })).toEqual({ kind: "notOwner" });
        expect(await removeHistory(connection, { space, lowWaterMark: async () => 1n })).toMatchObject({ hindrance: "notOwner" });
      } finally {
        await fixture.run(`drop owned by ${role}`);
        await fixture.run(`drop role ${role}`);
      }
    });

    it("a row that is committed between the look at a partition and its lock is kept for its own time", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query("insert into waybill_outbox (id, type, topic) overriding system value values (500, 't', 'orders')");
      const meeting = whileTaking(fixture.database, "lock_timeout", () => writer.query("commit"));
      expect(await removeHistory(meeting, { space, lowWaterMark: async () => 1_000_001n, pause: noPause })).toMatchObject({ emptied: 0 });
      expect(await left()).toContain(500);
    });

    it("a process that stops while it empties a partition lets the readers go on", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      let read: Promise<unknown> = Promise.resolve();
      // The partition is locked, and the process that locked it does not come to its next statement before somebody has read.
      const stopping = whileTaking(
        fixture.database,
        "truncate table",
        () => (read = fixture.run("select count(*)::int as n from waybill_outbox")),
      );
      const options = { space, lowWaterMark: async () => 1_000_001n, pause: noPause, deadlineMs: 60_000 };
      await removeHistory(stopping, options).catch(() => undefined);
      await expect(read).resolves.toEqual([{ n: 3 }]);
      expect(await remove(1_000_001)).toMatchObject({ emptied: 1, dropped: 1 });
    });

    it("where transactions see what was there when they began, a row that comes while a drop waits for the ledger keeps its partition", async () => {
      const name = new URL(fixture.url).pathname.slice(1);
      await fixture.run(`alter database ${name} set default_transaction_isolation = 'repeatable read'`);
      const strict = await fixture.connect();
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query(insertRow, ["late", "1"]);
      const tables = ledgerTables(space, "default");
      const leaf = { partition: tables.partition(1n), high: 1_000_001n, stream: "default", waitMs: 8_000 };
      const dropping = strict.execute(dropEmptyPartition({ outbox: tables.outbox, streams: tables.stream }, leaf), []);
      dropping.catch(() => undefined);
      const waiting = "select 1 from pg_locks where relation = 'waybill_outbox'::regclass and mode = 'AccessExclusiveLock' and not granted";
      await waitUntil(async () => (await fixture.run(waiting)).length > 0, { what: "the drop waits for the ledger" });
      await writer.query("commit");
      await expect(dropping).rejects.toMatchObject({ facts: { sqlState: "55P03" } });
      expect(await left()).toEqual([1]);
    });

    it("who finds somebody else at work waits for its turn, and does its own", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      const other = await fixture.client();
      await other.query("begin; select name from waybill_stream where name = 'default' for update");
      const removing = removeHistory(
        whileTaking(fixture.database, "skip locked", () => other.query("rollback")),
        { space, lowWaterMark: async () => 1_000_001n, pause: noPause },
      );
      expect(await removing).toMatchObject({ emptied: 1, dropped: 1, hindrance: null });
    });

    it("facts tell how far it came, so that ids which went back are noticed", async () => {
      await rows([1, 60]);
      await isBusy(2_900_000);
      await remove(1_000_001);
      await atId(5);
      const connection = await fixture.connect();
      expect(await fixture.ledger.facts(connection, { deadlineMs: 10_000 })).toMatchObject({ removedTo: 1_000_000n, highestId: 5n });
    });

    it("a busy ledger gets larger partitions", async () => {
      await rows([1, 23], [60_000_000, 0]);
      await atId(60_000_000);
      const settings = {
        clock: systemClock,
        partitionIds: null,
        retentionMs: 86_400_000,
        aheadMin: 1,
        deadlineMs: 15_000,
        attachMsMax: 10_000,
      };
      expect(await keepPostgresPartitions(fixture.database, ledgerTables(space, "default"), "default", settings)).toEqual({
        kind: "kept",
        made: [60_750_001n, 63_750_001n],
      });
    });
  }),
);
