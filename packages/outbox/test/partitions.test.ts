import { systemClock } from "@waybill/core";
import { namespace, type Units } from "@waybill/sql";
import { forEachPostgres, waitUntil } from "@waybill/testing";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { keepPartitions } from "../src/index.ts";
import { defaultStream, ledgerTables } from "../src/ledger-tables.ts";
import { keepPostgresPartitions } from "../src/postgres/partitions.ts";
import { insertRow, type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const space = namespace("postgres");

forEachPostgres((server) =>
  describe(`partitions on ${server.name}`, () => {
    let fixture: OutboxFixture;
    const opened: OutboxFixture[] = [];

    beforeEach(async () => {
      fixture = await outboxFixture(server);
      opened.push(fixture);
    });
    afterAll(() => Promise.all(opened.map((each) => each.drop())));

    const atId = (id: number): Promise<unknown> => fixture.run("select setval('waybill_outbox_id_seq', $1)", [id]);
    const placeOf = async (key: string): Promise<unknown> =>
      (await fixture.run("select tableoid::regclass::text as place from waybill_outbox where key = $1", [key]))[0]?.["place"];

    it("two empty partitions lie ahead from the first migration, and upkeep finds nothing to do", async () => {
      await fixture.run(insertRow, ["k", "1"]);
      expect(await keepPartitions(fixture.database, { space })).toEqual({ kind: "kept", made: [] });
    });

    it("two to four partitions lie ahead of the ids that belong in them, so that nothing goes to the default partition", async () => {
      await atId(2_900_000);
      expect(await keepPartitions(fixture.database, { space })).toEqual({
        kind: "kept",
        made: [3_000_001n, 4_000_001n, 5_000_001n, 6_000_001n],
      });
      expect(await keepPartitions(fixture.database, { space })).toEqual({ kind: "kept", made: [] });
      await atId(2_999_990);
      await fixture.run(
        "insert into waybill_outbox (type, topic, key) select 't', 'orders', n::text from generate_series(2999991, 3000020) n",
      );
      expect(await placeOf("3000000")).toBe("waybill_outbox_p2000001");
      expect(await placeOf("3000001")).toBe("waybill_outbox_p3000001");
    });

    it("what nobody made room for goes to the default partition, is read from there, and the next partitions begin beyond it", async () => {
      await atId(3_200_000);
      await fixture.run(insertRow, ["late", "1"]);
      expect(await placeOf("late")).toBe("waybill_outbox_default");
      expect(await keepPartitions(fixture.database, { space })).toEqual({
        kind: "kept",
        made: [3_500_001n, 4_500_001n, 5_500_001n, 6_500_001n],
      });
      await fixture.run(insertRow, ["still late", "2"]);
      expect(await placeOf("still late")).toBe("waybill_outbox_default");
      const connection = await fixture.connect();
      const { rows } = await fixture.ledger.read(connection, {
        lastId: 0n,
        holes: [],
        rowsMax: 10,
        areHolesOnly: false,
        deadlineMs: 5_000,
      });
      expect(rows.map(({ id }) => id)).toEqual([3_200_001n, 3_200_002n]);
    });

    it("an insert that runs while partitions are made is not refused where its ids go, however near the end of the last partition it began", async () => {
      await atId(2_999_995);
      const [writer, holder] = [await fixture.client(), await fixture.client()];
      await holder.query("select pg_advisory_lock(1)");
      const inserting = writer.query(
        `insert into waybill_outbox (type, topic, key)
         select 't', 'orders', n::text from generate_series(1, 10) n where case when n = 2 then pg_advisory_lock(1) is not null else true end`,
      );
      await waitUntil(async () => (await fixture.run("select 1 from pg_locks where locktype = 'advisory' and not granted")).length > 0, {
        what: "the insert waits in its middle",
      });
      expect(await keepPartitions(fixture.database, { space })).toMatchObject({ kind: "kept" });
      await holder.query("select pg_advisory_unlock(1)");
      await inserting;
      expect(await placeOf("1")).toBe("waybill_outbox_p2000001");
      expect(await placeOf("10")).toBe("waybill_outbox_default");
    });

    it("open writers, and readers of other partitions than the default one, do not stop upkeep, nor it them", async () => {
      await atId(1_999_000);
      const [writer, reader] = [await fixture.client(), await fixture.client()];
      await writer.query("begin");
      await writer.query(insertRow, ["open", "1"]);
      await reader.query("begin isolation level repeatable read");
      await reader.query("select count(*) from waybill_outbox where id between 1 and 1000");
      expect(await keepPartitions(fixture.database, { space })).toMatchObject({ kind: "kept", made: [3_000_001n, 4_000_001n, 5_000_001n] });
      await writer.query(insertRow, ["open", "2"]);
      await writer.query("commit");
      await reader.query("commit");
    });

    it("somebody who holds the default partition makes upkeep give up in time, and a later one succeeds", async () => {
      await atId(2_900_000);
      const holder = await fixture.client();
      await holder.query("begin; lock table waybill_outbox_default in row exclusive mode");
      expect(await keepPartitions(fixture.database, { space })).toEqual({ kind: "busy", made: [] });
      await holder.query("rollback");
      expect(await keepPartitions(fixture.database, { space })).toMatchObject({
        kind: "kept",
        made: [3_000_001n, 4_000_001n, 5_000_001n, 6_000_001n],
      });
    });

    it("where transactions see what was there when they began, two that make room still do not make the same", async () => {
      await atId(2_900_000);
      await fixture.run(`alter database ${new URL(fixture.url).pathname.slice(1)} set default_transaction_isolation = 'repeatable read'`);
      const strict = await fixture.connect();
      let isBehind = false;
      const late: Units = {
        unitOfWork: (work, options) =>
          strict.unitOfWork(
            (tx) =>
              work({
                ...tx,
                query: async (sql, values, settings) => {
                  if (!isBehind && sql.includes("skip locked")) {
                    isBehind = true;
                    await tx.query("select 1", []);
                    await keepPartitions(fixture.database, { space });
                  }
                  return tx.query(sql, values, settings);
                },
              }),
            options,
          ),
      };
      expect(await keepPartitions(late, { space })).toEqual({ kind: "kept", made: [] });
    });

    it("a default partition that takes too long to search is left alone, and upkeep says busy", async () => {
      await atId(3_200_000);
      await fixture.run("insert into waybill_outbox (type, topic) select 't', 'orders' from generate_series(1, 300000)");
      const settings = { clock: systemClock, partitionIds: 1_000_000n, retentionMs: 86_400_000, aheadMin: 2, deadlineMs: 15_000 };
      const keep = (attachMsMax: number) =>
        keepPostgresPartitions(fixture.database, ledgerTables(space, defaultStream), defaultStream, { ...settings, attachMsMax });
      expect(await keep(2)).toEqual({ kind: "busy", made: [] });
      const [left] = await fixture.run(
        "select count(*)::int as n from pg_class where relname like 'waybill\\_outbox\\_p37%' and relkind = 'r'",
      );
      expect(left).toEqual({ n: 0 });
      expect(await keep(10_000)).toMatchObject({ kind: "kept", made: [3_750_001n, 4_750_001n, 5_750_001n, 6_750_001n] });
      expect(await fixture.run("insert into waybill_outbox (type, topic) values ('t', 'orders') returning topic")).toHaveLength(1);
    });

    it("of many at once each partition is made once", async () => {
      await atId(2_900_000);
      const results = await Promise.all(Array.from({ length: 4 }, () => keepPartitions(fixture.database, { space })));
      const made = results.flatMap((result) => (result.kind === "notOwner" ? [] : result.made));
      expect(made.map(String).toSorted()).toEqual(["3000001", "4000001", "5000001", "6000001"]);
    });

    it("a role that does not own the table says so, once there is something to do", async () => {
      const role = `waybill_test_${Math.random().toString(36).slice(2, 10)}`;
      await fixture.run(`create role ${role}`);
      try {
        await fixture.run(`grant select on waybill_outbox to ${role}`);
        await fixture.run(`grant select, update on waybill_stream to ${role}`);
        await fixture.run(`grant select on sequence waybill_outbox_id_seq to ${role}`);
        await atId(2_900_000);
        const connection = await fixture.connect();
        await connection.query(`set role ${role}`, []);
        expect(await keepPartitions(connection, { space })).toEqual({ kind: "notOwner" });
      } finally {
        await fixture.run(`drop owned by ${role}`);
        await fixture.run(`drop role ${role}`);
      }
    });

    it("options that make no sense are refused", async () => {
      await expect(keepPartitions(fixture.database, { space, partitionIds: 10 })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      await expect(keepPartitions(fixture.database, { space, aheadMin: 0 })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    });
  }),
);
