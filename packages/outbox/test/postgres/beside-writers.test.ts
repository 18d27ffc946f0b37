/**
 * Writers that insert as fast as they can, each giving up when a lock is not to be had within 50 ms, while partitions are made, emptied and dropped
 * under their hands: first beside a reader that stays open on the whole ledger, then without it.
 *
 * A campaign, run alone with `WAYBILL_TEST_ALL=1`: beside other tests a process may be off its core for longer than 50 ms.
 */
import { systemClock } from "@waybill/core";
import { namespace, type OwnedTx } from "@waybill/sql";
import { forEachPostgres } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RemovedHistory } from "../../src/index.ts";
import { defaultStream, ledgerTables } from "../../src/ledger-tables.ts";
import { keepPostgresPartitions } from "../../src/postgres/partitions.ts";
import { removePostgresHistory } from "../../src/postgres/remove-history.ts";
import { type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";

const tables = ledgerTables(namespace("postgres"), defaultStream);
const partitionIds = 5_000n;
const waitMsMax = 50;

forEachPostgres((server) =>
  describe.runIf(process.env["WAYBILL_TEST_ALL"] === "1")(`retention beside writers on ${server.name}`, () => {
    let fixture: OutboxFixture;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      await fixture.run("drop table waybill_outbox_p1, waybill_outbox_p1000001, waybill_outbox_p2000001");
    });
    afterAll(() => fixture.drop());

    const keep = () =>
      keepPostgresPartitions(fixture.database, tables, defaultStream, {
        clock: systemClock,
        partitionIds,
        retentionMs: 3_600_000,
        aheadMin: 10,
        deadlineMs: 15_000,
        attachMsMax: 1_000,
      });
    let steps = 0;
    /** All but the last few hundred ids are history, half a second after they came. */
    const remove = (): Promise<RemovedHistory> =>
      removePostgresHistory(fixture.database, tables, defaultStream, {
        lowWaterMark: async (tx: Pick<OwnedTx, "query">) => {
          const [row] = await tx.query("select last_value::text as id from waybill_outbox_id_seq", []);
          return BigInt(row?.["id"] as string) - 300n;
        },
        retentionMs: 500,
        idRetentionMs: 86_400_000,
        rowsMax: 1_000,
        deadlineMs: 15_000,
        clock: systemClock,
        pause: async () => {
          steps += 1;
          return steps % 20 !== 0;
        },
        onStep: () => undefined,
      });

    it(`no writer waits ${waitMsMax} ms for a lock, a reader that stays open delays nobody, and nothing is lost but history`, async () => {
      await keep();
      let isOver = false;
      const failures: Error[] = [];
      let inserted = 0;
      const write = async (): Promise<void> => {
        const client = await fixture.client();
        await client.query(`set lock_timeout = ${waitMsMax}`);
        while (!isOver) {
          await client.query("insert into waybill_outbox (type, topic, payload) select 't', 'orders', 'x' from generate_series(1, 20)");
          inserted += 20;
        }
      };
      const writing = Promise.all(Array.from({ length: 4 }, write));
      writing.catch((error: unknown) => failures.push(error as Error));
      const until = async (enough: (done: RemovedHistory) => boolean): Promise<RemovedHistory> => {
        const sum = { rows: 0, emptied: 0, dropped: 0, ids: 0 };
        for (let turn = 0; turn < 500; turn += 1) {
          if (failures[0] !== undefined) throw failures[0];
          await keep();
          const { rows, emptied, dropped, ids, hindrance } = await remove();
          sum.rows += rows;
          sum.emptied += emptied;
          sum.dropped += dropped;
          sum.ids += ids;
          if (enough({ ...sum, hindrance })) return { ...sum, hindrance };
        }
        throw new Error(`it did not come to it: ${JSON.stringify(sum)}`);
      };
      try {
        expect(await until(({ emptied }) => emptied >= 3)).toMatchObject({ hindrance: null });
        const reader = await fixture.client();
        await reader.query("begin isolation level repeatable read");
        const [{ n: seen }] = (await reader.query("select count(*)::int as n from waybill_outbox")).rows as [{ n: number }];
        const before = inserted;
        expect(await until(({ hindrance }) => hindrance === "locked" && inserted > before + 2_000)).toMatchObject({
          emptied: 0,
          dropped: 0,
        });
        expect((await reader.query("select count(*)::int as n from waybill_outbox")).rows).toEqual([{ n: seen }]);
        await reader.query("commit");
        const after = await until(({ emptied, dropped }) => emptied >= 3 && dropped >= 3);
        expect(after.dropped).toBeGreaterThanOrEqual(3);
      } finally {
        isOver = true;
        await writing;
      }
      const [left] = await fixture.run(
        `select count(*)::int as n, count(*) filter (where tableoid = 'waybill_outbox_default'::regclass)::int as astray,
                (select last_value::int from waybill_outbox_id_seq) as last, (select removed_to::int from waybill_stream) as removed
         from waybill_outbox where id > (select removed_to from waybill_stream)`,
      );
      const { n, last, removed } = left as { n: number; last: number; removed: number };
      expect(n).toBe(last - removed);
      expect(inserted).toBe(last);
    }, 120_000);
  }),
);
