import type { Connection } from "@waybill/sql";
import { forEachPostgres, waitUntil } from "@waybill/testing";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { type HoleProof, type IdRange, storedPayload } from "../src/index.ts";
import { insertRow, type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const deadlineMs = 5_000;
const range = (low: number, high: number): IdRange => ({ low: BigInt(low), high: BigInt(high) });

forEachPostgres((server) =>
  describe(`proving holes dead on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let connection: Connection;
    let writer: pg.Client;
    let proof: HoleProof;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      connection = await fixture.connect();
      await fixture.run("create table orders (id int primary key)");
    });
    afterAll(() => fixture.drop());
    beforeEach(async () => {
      await fixture.clear();
      writer = await fixture.client();
      proof = fixture.ledger.beginHoleProof();
    });

    const look = (holes: readonly IdRange[], times: number, of = proof): Promise<readonly IdRange[]> =>
      Array.from({ length: times }).reduce<Promise<readonly IdRange[]>>(
        (before) => before.then(() => of.look(connection, holes, { deadlineMs })),
        Promise.resolve([]),
      );
    const read = async (lastId: number, holes: readonly IdRange[]): Promise<readonly unknown[]> =>
      (await fixture.ledger.read(connection, { lastId: BigInt(lastId), holes, rowsMax: 100, areHolesOnly: false, deadlineMs })).rows.map(
        storedPayload,
      );
    /** A writer with id 1, and a later row that was read. */
    const openWriter = async (): Promise<readonly IdRange[]> => {
      await writer.query("begin");
      await writer.query(insertRow, ["k", "slow"]);
      await fixture.run(insertRow, ["k", "fast"]);
      return [range(1, 1)];
    };

    it("a rolled-back id is proved dead within three looks", async () => {
      const holes = await openWriter();
      await writer.query("rollback");
      expect(await look(holes, 2)).toEqual([]);
      expect(await look(holes, 1)).toEqual(holes);
    });

    it("an id whose transaction is open, active or idle, is kept for ever, and read when it commits", async () => {
      const holes = await openWriter();
      expect(await look(holes, 20)).toEqual([]);
      const blocker = await fixture.client();
      await blocker.query("select pg_advisory_lock(7)");
      const active = writer.query("select pg_advisory_xact_lock(7)");
      expect(await look(holes, 5)).toEqual([]);
      await blocker.query("select pg_advisory_unlock(7)");
      await active;
      await writer.query("commit");
      expect(await read(2, holes)).toEqual(["slow"]);
    });

    it("a commit between the proof and its answer is in the read that is sent after", async () => {
      const holes = await openWriter();
      expect(await look(holes, 3)).toEqual([]);
      await writer.query("commit");
      expect(await look(holes, 1)).toEqual(holes);
      expect(await read(2, holes)).toEqual(["slow"]);
    });

    it("an id skipped by a rollback to a savepoint dies although its transaction goes on", async () => {
      await writer.query("begin");
      await writer.query("savepoint s");
      await writer.query(insertRow, ["k", "undone"]);
      await writer.query("rollback to savepoint s");
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 1)], 3)).toEqual([range(1, 1)]);
      await writer.query("commit");
    });

    it("an id of a released savepoint belongs to its transaction", async () => {
      await writer.query("begin");
      await writer.query("savepoint s");
      await writer.query(insertRow, ["k", "kept"]);
      await writer.query("release savepoint s");
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 1)], 10)).toEqual([]);
      await writer.query("commit");
      expect(await read(2, [range(1, 1)])).toEqual(["kept"]);
    });

    it("an id burned by nextval, or by a failed insert, dies", async () => {
      await fixture.run("select nextval('waybill_outbox_id_seq')");
      await expect(fixture.run("insert into waybill_outbox (type, topic, key) values ('t', '', 'refused')")).rejects.toMatchObject({
        code: "23514",
      });
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 2)], 3)).toEqual([range(1, 2)]);
    });

    it("a rolled-back insert of a million rows is one range that dies", async () => {
      await writer.query("begin");
      await writer.query("select setval('waybill_outbox_id_seq', 1000000)");
      await writer.query("rollback");
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 1_000_000)], 3)).toEqual([range(1, 1_000_000)]);
    });

    it("a row that waits in a trigger, its id in hand, is kept", async () => {
      await fixture.run(
        `create or replace function wait_there() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(42); return new; end $$`,
      );
      await fixture.run(
        "create trigger waits before insert on waybill_outbox for each row when (new.key = 'waits') execute function wait_there()",
      );
      const blocker = await fixture.client();
      await blocker.query("begin");
      await blocker.query("select pg_advisory_xact_lock(42)");
      const inserted = writer.query(insertRow, ["waits", "slow"]);
      await waitUntil(async () => (await fixture.ledger.facts(connection, { deadlineMs })).highestId === 1n, {
        what: "the id is handed out",
      });
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 1)], 10)).toEqual([]);
      await blocker.query("commit");
      await inserted;
      expect(await read(2, [range(1, 1)])).toEqual(["slow"]);
      await fixture.run("drop trigger waits on waybill_outbox");
    });

    it("long reads, and long writes to other tables, do not matter", async () => {
      const reader = await fixture.client();
      await reader.query("begin isolation level repeatable read");
      await reader.query("select count(*) from waybill_outbox");
      const other = await fixture.client();
      await other.query("begin");
      await other.query("insert into orders (id) values (1)");
      const holes = await openWriter();
      await writer.query("rollback");
      expect(await look(holes, 3)).toEqual(holes);
      await reader.query("commit");
      await other.query("rollback");
    });

    it("a writer that stays open keeps what may be its own, and nothing that came later", async () => {
      const holes = await openWriter();
      await look(holes, 3);
      const late = await fixture.client();
      await late.query("begin");
      await late.query(insertRow, ["k", "undone"]);
      await late.query("rollback");
      await fixture.run(insertRow, ["k", "fast"]);
      // 3 may be the first writer's own for all a look can see: it is kept as long as that one is there, like 1.
      expect(await look([range(1, 1), range(3, 3)], 5)).toEqual([]);
      await writer.query("commit");
      expect(await read(4, [range(1, 1), range(3, 3)])).toEqual(["slow"]);
      expect(await look([range(3, 3)], 2)).toEqual([range(3, 3)]);
    });

    it("a hole that fills while it is being proved is split, and the rest dies", async () => {
      await writer.query("begin");
      await writer.query("insert into waybill_outbox (type, topic, payload) select 't', 'orders', n::text from generate_series(1, 2) n");
      const other = await fixture.client();
      await other.query("begin");
      await other.query("insert into waybill_outbox (type, topic, payload) select 't', 'orders', n::text from generate_series(3, 5) n");
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 5)], 3)).toEqual([]);
      await writer.query("commit");
      expect(await read(6, [range(1, 5)])).toEqual(["1", "2"]);
      await other.query("rollback");
      expect(await look([range(3, 5)], 1)).toEqual([range(3, 5)]);
    });

    it("an id written by hand above the counter is unproven until the counter passes it", async () => {
      await fixture.run(
        "insert into waybill_outbox (id, type, topic, payload) overriding system value values (50, 't', 'orders', 'by hand')",
      );
      const holes = [range(1, 49)];
      expect(await look(holes, 5)).toEqual([]);
      await fixture.run("select setval('waybill_outbox_id_seq', 10)");
      expect(await look(holes, 3)).toEqual([range(1, 10)]);
    });

    it("a writer into a partition is a writer", async () => {
      await writer.query("begin");
      await writer.query(
        "insert into waybill_outbox_p1 (id, type, topic, payload) overriding system value values (1, 't', 'orders', 'direct')",
      );
      await fixture.run("select setval('waybill_outbox_id_seq', 1)");
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await look([range(1, 1)], 10)).toEqual([]);
      await writer.query("commit");
      expect(await read(2, [range(1, 1)])).toEqual(["direct"]);
    });

    describe("prepared transactions", () => {
      async function needsPrepare(context: TestContext): Promise<void> {
        const [row] = (await fixture.run("show max_prepared_transactions")) as [{ max_prepared_transactions: string }];
        if (row.max_prepared_transactions === "0")
          context.skip(`${server.name} has max_prepared_transactions = 0; the embedded server runs this`);
      }

      it.for([0, 1, 2, 3, 5])(
        "one that is prepared after %i looks is kept until its decision, and read after COMMIT PREPARED",
        async (before, context) => {
          await needsPrepare(context);
          const holes = await openWriter();
          await look(holes, before);
          await writer.query("prepare transaction 'waybill-test'");
          expect(await look(holes, 8)).toEqual([]);
          await fixture.run("commit prepared 'waybill-test'");
          expect(await read(2, holes)).toEqual(["slow"]);
          expect(await look(holes, 1)).toEqual(holes);
        },
      );

      it("one that was prepared before the first look dies after ROLLBACK PREPARED, however many others are prepared since", async (context) => {
        await needsPrepare(context);
        const holes = await openWriter();
        await writer.query("prepare transaction 'waybill-test'");
        await look(holes, 4);
        await writer.query("begin");
        await writer.query(insertRow, ["k", "another"]);
        await writer.query("prepare transaction 'waybill-other'");
        expect(await look(holes, 2)).toEqual([]);
        await fixture.run("rollback prepared 'waybill-test'");
        expect(await look(holes, 1)).toEqual(holes);
        await fixture.run("rollback prepared 'waybill-other'");
      });
    });
  }),
);
