import type { Connection, OwnedTx } from "@waybill/sql";
import { forEachMysql } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { discardDeadLetters, laneDigest, listDeadLetters, type Reader } from "../src/index.ts";
import { type DeadLetterTable, deadLetterTable, letter } from "./dead-letter-table.ts";

await forEachMysql((server) =>
  describe(server.name, () => {
    let table: DeadLetterTable;
    let connection: Connection;
    beforeAll(async () => {
      table = await deadLetterTable(server);
      connection = await table.database.connect({ purpose: "counting" });
    });
    afterAll(async () => {
      await connection.close();
      await table.close();
    });

    test("the digest of a lane is what the server makes of its topic and key, whatever is in them", async () => {
      const reader: Reader = { origin: "relay", name: "digests" };
      const odd = ["", " ", "k", "k ", "1 k", "\u{1F600}", "\\\u0000'\"", "\ufffd", "é".repeat(40_000)];
      const lanes = odd.flatMap((topic) => odd.map((key) => ({ topic, key })));
      await table.insert(
        reader,
        lanes.map((lane, place) => letter(place, lane)),
      );
      const sql = `select hex(open_lane) from ${table.deadLetters.table} where reader = ? order by sequence`;
      const stored = (await table.database.queryText(sql, [reader.name])).map(([digest]) => digest);
      expect(stored).toEqual(lanes.map((lane) => Buffer.from(laneDigest(lane)).toString("hex").toUpperCase()));
      expect(new Set(stored).size).toBe(lanes.length);
    });

    test("a value that does not fit its column is refused and never cut", async () => {
      const reader: Reader = { origin: "inbox", name: "fits" };
      const fits = "é".repeat(127);
      await table.insert(reader, [letter(1, { messageId: `${fits}e` })]);
      const outcome = await table.database.unitOfWork(
        (tx) => table.deadLetters.insert(tx, reader, [letter(2, { messageId: `${fits}é` })]),
        {
          operation: "test",
        },
      );
      expect(outcome).toMatchObject({ kind: "rolledBack", error: { code: "WAYBILL_DATABASE", facts: { errno: 1406 } } });
      expect(await table.states(reader)).toEqual(["1 dead"]);
    });

    describe("among many rows", () => {
      const reader: Reader = { origin: "relay", name: "many" };
      const lanesOpen = 500;
      const perLane = 10;
      beforeAll(async () => {
        const letters = Array.from({ length: lanesOpen * perLane }, (_, place) => {
          const isDead = place < lanesOpen;
          return letter(place, { key: `k${place % lanesOpen}`, ...(isDead ? {} : { reason: null }) });
        });
        const alone = Array.from({ length: 500 }, (_, place) => letter(100_000 + place, { key: null }));
        const decided = Array.from({ length: 2_000 }, (_, place) => letter(200_000 + place, { key: `k${place}` }));
        await table.insert(reader, [...letters, ...alone, ...decided]);
        await discardDeadLetters(table.database, table.space, { reader: reader.name, topic: "none" }, { who: "x", why: null });
        await table.database.execute(
          `update ${table.deadLetters.table} set state = 'done', decided_at = utc_timestamp(6) - interval 1 day where reader = ? and sequence >= 200000`,
          [reader.name],
        );
        await table.release(reader, 3, 100_007);
      });

      /** Rows that the server reads, in indexes and in the table, for a call on a connection of its own. */
      const readsOf = async (work: () => Promise<unknown>): Promise<number> => {
        const count = async (): Promise<number> => {
          const rows = await connection.query("show session status like 'Handler_read%'", []);
          return rows.reduce((sum, row) => sum + Number(row["Value"]), 0);
        };
        let reads = Number.POSITIVE_INFINITY;
        // The least of three: now and then a server reads its own dictionary, too.
        for (let time = 0; time < 3; time++) {
          const before = await count();
          await work();
          reads = Math.min(reads, (await count()) - before);
        }
        return reads;
      };
      /** In a unit that is rolled back, so that it can be done again. */
      const inUnit = (work: (tx: OwnedTx) => Promise<unknown>) => () =>
        connection.unitOfWork(
          async (tx) => {
            await work(tx);
            throw new Error("The test rolls back.");
          },
          { operation: "test" },
        );
      const lane = { topic: "orders", key: "k3", sequence: 3n, messageId: "m3" };
      const place = { origin: reader.origin, reader: reader.name, sequence: 2_500n, messageId: "m2500" } as const;

      test.each([
        ["a look-up of three messages", 20, () => table.deadLetters.lookUp(connection, reader, [3n, 4n, 999_999n], [])],
        [
          "a look-up of three lanes",
          40,
          () => table.deadLetters.lookUp(connection, reader, [], [lane, { topic: "orders", key: "k4" }, { topic: "none", key: "k" }]),
        ],
        ["a summary", 10, () => table.deadLetters.summary(connection, reader)],
        ["a count up to ten", 100, () => table.deadLetters.counts(connection, reader, 10)],
        [
          "a page of the list",
          40,
          () => listDeadLetters(connection, table.space, { origin: reader.origin, reader: reader.name, after: place, limit: 5 }),
        ],
        ["a claim", 10, inUnit((tx) => table.deadLetters.claim(tx, reader, letter(3)))],
        ["a take without order", 250, inUnit((tx) => table.deadLetters.takeReleasedAnyhow(tx, reader, 10))],
        ["a take", 250, inUnit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 100))],
        [
          "a refusal",
          150,
          inUnit((tx) => table.deadLetters.refuse(tx, reader, letter(3), { reason: "again", attempts: 1, mayBeStored: false })),
        ],
        ["the end of a message without key", 10, inUnit((tx) => table.deadLetters.finish(tx, reader, letter(100_007)))],
        ["a step of retention", 80, () => table.deadLetters.removeDecided(connection, reader, 3_600_000, 10)],
      ])("%s reads no more than %i rows", async (_, rowsMax, work) => {
        const reads = await readsOf(work);
        expect(reads).toBeGreaterThan(0);
        expect(reads).toBeLessThanOrEqual(rowsMax);
      });

      test("a look for released lanes reads a lane's first row, and the index of the others", async () => {
        const reads = await readsOf(() => table.deadLetters.findReleased(connection, reader, 100));
        expect(reads).toBeLessThanOrEqual(lanesOpen * (perLane + 8));
      });
    });
  }),
);
