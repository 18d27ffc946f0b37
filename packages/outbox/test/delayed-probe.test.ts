/**
 * What many waiting messages cost a relay that has nothing to move: one probe of an index with each poll. Counted by the database, and read from its plan.
 * 50 000 messages; with `WAYBILL_TEST_ALL=1` a million.
 */
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDelayedMessages, nothingPassedOver } from "../src/index.ts";
import { ledgerTables } from "../src/ledger-tables.ts";
import { readDue as readDueOnMysql } from "../src/mysql/statements/read-due.ts";
import { readNextDue as readNextDueOnMysql } from "../src/mysql/statements/read-next-due.ts";
import { readDue } from "../src/postgres/statements/read-due.ts";
import { readNextDue } from "../src/postgres/statements/read-next-due.ts";
import { type OutboxDatabase, outboxDatabase } from "./application.ts";

const waiting = process.env["WAYBILL_TEST_ALL"] === "1" ? 1_000_000 : 50_000;

await forEachDatabase((server) =>
  describe(`${waiting} delayed messages on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    beforeAll(async () => {
      outbox = await outboxDatabase(server);
      const columns = "insert into waybill_outbox_delayed (due_at, type, topic, payload)";
      if (server.dialect === "postgres") {
        await outbox.run(
          `${columns} select clock_timestamp() + n * interval '1 minute', 't.v1', 'notes', '{}' from generate_series(60, ${waiting} + 59) n`,
        );
      } else {
        const due = "utc_timestamp(6) + interval n minute";
        await outbox.run("set @@cte_max_recursion_depth = 2000000").catch(() => outbox.run("set max_recursive_iterations = 2000000"));
        await outbox.run(
          `${columns} with recursive numbers (n) as (select 60 union all select n + 1 from numbers where n < ${waiting} + 59) select ${due}, 't.v1', 'notes', '{}' from numbers`,
        );
      }
    }, 600_000);
    afterAll(() => outbox.drop());

    /** How many index entries and rows PostgreSQL has read of the delayed messages, by its own count. */
    const touched = async (): Promise<number> => {
      await outbox.run("select pg_stat_clear_snapshot()");
      const [row] = await outbox.run(`
        select coalesce(seq_tup_read, 0) + (select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'waybill_outbox_delayed') as touched
        from pg_stat_user_tables where relname = 'waybill_outbox_delayed'`);
      return Number(row?.["touched"]);
    };

    it("a poll that finds nothing due touches one entry of the index on the due time", async () => {
      const delayed = createDelayedMessages({ space: outbox.space });
      const polls = 20;
      const poll = await outbox.connect();
      if (server.dialect === "postgres") {
        const before = await touched();
        for (let count = 0; count < polls; count += 1) expect(await delayed.untilDueMs(poll, { deadlineMs: 10_000 })).toBeGreaterThan(0);
        await poll.close(); // a session that ends tells what it counted
        await expect.poll(touched, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + polls);
        expect((await touched()) - before).toBe(polls);
        return;
      }
      const reads = async (): Promise<number> => {
        const rows = (await poll.query("show session status like 'Handler_read%'", [])) as readonly { Value: string }[];
        return rows.reduce((sum, { Value: value }) => sum + Number(value), 0);
      };
      const [one, two] = [await reads(), await reads()];
      for (let count = 0; count < polls; count += 1) expect(await delayed.untilDueMs(poll, { deadlineMs: 10_000 })).toBeGreaterThan(0);
      const three = await reads();
      const ofAsking = two - one;
      expect(three - two - ofAsking).toBeLessThanOrEqual(2 * polls); // the entry, and on MariaDB its row
    });

    it.each([false, true])(
      "the plan is a search of that index, and a step that finds nothing reads nothing more (analysed: %s)",
      async (isAnalysed) => {
        if (server.dialect === "postgres") {
          const { delayed } = ledgerTables(outbox.space, "default");
          if (isAnalysed) await outbox.run("analyze waybill_outbox_delayed");
          for (const [sql, values] of [
            [readNextDue(delayed), []],
            [readDue(delayed), [[], [], "1000"]],
          ] as const) {
            const [row] = (await outbox.database.query(`explain (analyze, buffers, format json) ${sql}`, values)) as unknown as readonly [
              { readonly "QUERY PLAN": readonly [{ readonly Plan: Readonly<Record<string, number>> }] },
            ];
            const [{ Plan: top }] = row["QUERY PLAN"];
            const plan = JSON.stringify(top);
            expect(plan).toContain('"Index Name":"waybill_outbox_delayed_due"');
            expect(plan).not.toMatch(/Seq Scan|"Node Type":"Sort"|Bitmap/);
            expect((top["Shared Hit Blocks"] ?? 0) + (top["Shared Read Blocks"] ?? 0)).toBeLessThanOrEqual(5);
          }
        } else {
          const { delayed } = ledgerTables(outbox.space, "default");
          if (isAnalysed) await outbox.run("analyze table waybill_outbox_delayed");
          for (const [sql, values] of [
            [readNextDueOnMysql(delayed), []],
            [readDueOnMysql(delayed, [3n], [7n]), [1_000]],
          ] as const) {
            const plan = JSON.stringify(await outbox.database.query(`explain ${sql}`, values)); // a table on MariaDB, a tree on MySQL
            expect(plan).toContain("waybill_outbox_delayed_due");
            expect(plan).not.toMatch(/filesort|temporary|Sort:|Table scan|"ALL"/);
          }
        }
        const mover = await outbox.connect();
        const step = await createDelayedMessages({ space: outbox.space }).moveDue(mover, { passedOver: nothingPassedOver });
        expect(step).toMatchObject({ kind: "moved", messages: 0, isMore: false });
      },
    );
  }),
);
