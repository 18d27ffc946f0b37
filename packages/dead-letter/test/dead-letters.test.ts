import { forEachPostgres } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Reader, ReleasedLane } from "../src/index.ts";
import { type DeadLetterTable, deadLetterTable, letter } from "./dead-letter-table.ts";

forEachPostgres((server) =>
  describe(server.name, () => {
    let table: DeadLetterTable;
    let reader: Reader;
    let readers = 0;
    const lane = { topic: "orders", key: "k", sequence: 0n, messageId: "" };
    const redrive = async (...sequences: number[]): Promise<void> => {
      const sql = `update ${table.deadLetters.table} set state = 'released' where reader = $1 and sequence = any($2::bigint[]) and state = 'dead'`;
      await table.database.query(sql, [reader.name, sequences.map(String)]);
    };

    beforeAll(async () => {
      table = await deadLetterTable(server);
    });
    afterAll(() => table.close());
    const newReader = (): Reader => {
      readers += 1;
      reader = { origin: "relay", name: `default/reader-${readers}` };
      return reader;
    };

    test("what is put in comes out as it was: text, bytes, a tombstone, and a key no index would take", async () => {
      newReader();
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const letters = [
        letter(1, { payload: 'text with "quotes", \u{1F600} and \\u0000', mayBeStored: true, fingerprint: "print" }),
        letter(2, { payload: bytes, headers: null, createdAtMs: null }),
        letter(3, { payload: null, reason: null, attempts: 0, createdAtMs: 1_700_000_000_123.456 }),
        letter(4, { payload: "" }),
        letter(5, { payload: new Uint8Array(0) }),
      ];
      const longKey = Array.from({ length: 20_000 }, (_, place) => place.toString(36)).join("");
      await table.insert(reader, letters);
      await table.insert(reader, [letter(6, { key: longKey, topic: longKey })]);
      await redrive(1, 2, 4, 5, 6);

      const taken = await table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 10));
      expect(taken).toEqual(
        letters.map((given) => ({
          fingerprint: null,
          ...given,
          origin: "relay",
          reader: reader.name,
          state: "released",
          givenUpAtMs: expect.any(Number) as number,
        })),
      );
      const [long] = await table.unit((tx) =>
        table.deadLetters.takeReleased(tx, reader, { topic: longKey, key: longKey, sequence: 6n, messageId: "m6" }, 10),
      );
      expect(long?.key).toBe(longKey);
      const found = await table.deadLetters.lookUp(
        table.database,
        reader,
        [],
        [
          { topic: longKey, key: longKey },
          { topic: longKey, key: `${longKey}!` },
        ],
      );
      expect(found.openLanes).toHaveLength(1);
    });

    test("a row that is already there is left as it is", async () => {
      newReader();
      await table.insert(reader, [letter(1)]);
      await redrive(1);
      await table.insert(reader, [letter(1, { reason: "other" }), letter(2)]);
      expect(await table.states(reader)).toEqual(["1 released", "2 dead"]);
    });

    test("thousands of rows go in by one call, in their order", async () => {
      newReader();
      const letters = Array.from({ length: 1_203 }, (_, place) =>
        letter(0, { messageId: `m${place}`, reason: place === 0 ? "tooLarge" : null }),
      );
      await table.insert(reader, letters);
      await redrive(0);
      const taken = await table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 2_000));
      expect(taken.map(({ messageId }) => messageId)).toEqual(letters.map(({ messageId }) => messageId));
    });

    test("a look-up tells finished sequences, in any state, and open lanes, with and without held rows", async () => {
      newReader();
      const { deadLetters, database } = table;
      expect(await deadLetters.summary(database, reader)).toEqual({ hasOpenRows: false, highestSequence: null });
      await table.insert(reader, [
        letter(1, { key: "a" }),
        letter(2, { key: "b" }),
        letter(3, { key: "b", reason: null }),
        letter(9, { key: null }),
      ]);
      await redrive(9);
      const name = { topic: "orders", key: null, sequence: 9n, messageId: "m9" };
      const [single] = await table.unit((tx) => deadLetters.takeReleased(tx, reader, name, 1));
      expect(await table.unit((tx) => deadLetters.finish(tx, reader, single!))).toBe(true);

      const lanes = ["a", "b", "c"].map((key) => ({ topic: "orders", key }));
      const found = await deadLetters.lookUp(database, reader, [1n, 2n, 4n, 9n], [...lanes, { topic: "other", key: "a" }]);
      expect(new Set(found.finished)).toEqual(new Set([1n, 2n, 9n]));
      expect(found.openLanes).toEqual([
        { topic: "orders", key: "a", hasHeld: false },
        { topic: "orders", key: "b", hasHeld: true },
      ]);
      expect(await deadLetters.summary(database, reader)).toEqual({ hasOpenRows: true, highestSequence: 9n });
      expect(await deadLetters.counts(database, reader, 10)).toEqual({ dead: 2, held: 1, released: 0 });
      expect(await deadLetters.counts(database, reader, 1)).toEqual({ dead: 1, held: 1, released: 0 });
    });

    test("nothing is to do in a lane whose first open row is dead, whatever is held in it", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null }), letter(3), letter(4, { key: null })]);
      await redrive(3);
      expect(await table.deadLetters.findReleased(table.database, reader, 10)).toEqual([]);
    });

    test("a discarded dead letter lets the held ones behind it go", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null })]);
      await table.database.query(
        `update ${table.deadLetters.table} set state = 'discarded', decided_at = now() where reader = $1 and sequence = 1`,
        [reader.name],
      );
      expect(await table.deadLetters.findReleased(table.database, reader, 10)).toEqual([
        { topic: "orders", key: "k", sequence: 2n, messageId: "m2" },
      ]);
    });

    test("lanes with something to do are found one by one among many that have nothing, keyless ones too, up to the limit", async () => {
      newReader();
      const dead = Array.from({ length: 300 }, (_, place) => letter(1_000 + place, { key: `lane ${place}` }));
      await table.insert(reader, [
        ...dead,
        letter(1),
        letter(2, { reason: null }),
        letter(3, { key: null }),
        letter(4, { topic: "other" }),
      ]);
      await redrive(1, 3, 4, 1_100);
      const found = await table.deadLetters.findReleased(table.database, reader, 10);
      expect(found.map(({ topic, key, sequence }) => `${topic} ${key} ${sequence}`).sort()).toEqual(
        ["orders k 1", "orders lane 100 1100", "orders null 3", "other k 4"].sort(),
      );
      expect(await table.deadLetters.findReleased(table.database, reader, 2)).toHaveLength(2);
    });

    test("lanes whose topics and keys begin alike are all found, though their index sees the beginning only", async () => {
      newReader();
      const alike = "a".repeat(255);
      const lanes = ["", "b", "c", "d"].flatMap((end) => [
        { topic: "orders", key: `${alike}${end}` },
        { topic: `${alike}${end}`, key: "k" },
      ]);
      await table.insert(
        reader,
        lanes.flatMap((one, place) => [letter(place, one), letter(100 + place, one)]),
      );
      const isOpen = ({ topic, key }: { readonly topic: string; readonly key: string | null }) =>
        !topic.endsWith("c") && key !== `${alike}c`;
      await redrive(...lanes.flatMap((one, place) => (isOpen(one) ? [place] : [])));
      const expected = lanes.filter(isOpen).map(({ topic, key }) => `${topic} ${key}`);
      const found = await table.deadLetters.findReleased(table.database, reader, 20);
      expect(found.map(({ topic, key }) => `${topic} ${key}`).sort()).toEqual(expected.sort());
      expect(await namesByPage(1)).toEqual(found.map(({ messageId }) => messageId));
    });

    test("pages of lanes follow one another to the last, whatever stays in those before, and messages without key are one each", async () => {
      newReader();
      const letters = [
        ...Array.from({ length: 5 }, (_, place) => letter(0, { messageId: `single ${place}`, key: null, topic: `t${4 - place}` })),
        letter(7, { messageId: "a", key: null }),
        letter(-7, { messageId: "single 0", key: null }),
        ...Array.from({ length: 5 }, (_, place) => letter(place, { messageId: `keyed ${place}`, key: `k${place}` })),
      ];
      await table.insert(reader, letters);
      await redrive(-7, 0, 1, 2, 3, 4, 7);
      const all = [0, 1, 2, 3, 4]
        .map((place) => `keyed ${place}`)
        .concat("single 0", "single 0", "single 1", "single 2", "single 3", "single 4", "a");
      for (const lanesMax of [1, 2, 3, 5, 12, 20]) expect(await namesByPage(lanesMax)).toEqual(all);
      const name = { topic: "t2", key: null, sequence: 0n, messageId: "single 2" };
      const taken = await table.unit((tx) => table.deadLetters.takeReleased(tx, reader, name, 10));
      expect(taken.map(({ messageId }) => messageId)).toEqual(["single 2"]);
    });

    /** The message ids of all lanes with something to do, read page by page. */
    async function namesByPage(lanesMax: number): Promise<readonly string[]> {
      const names: string[] = [];
      let after: ReleasedLane | null = null;
      for (;;) {
        const page: readonly ReleasedLane[] = await table.deadLetters.findReleased(table.database, reader, lanesMax, after);
        names.push(...page.map(({ messageId }) => messageId));
        after = page.at(-1) ?? null;
        if (page.length < lanesMax) return names;
      }
    }

    test("a take ends before the first dead row, releases the held rows it takes, and leaves those behind alone", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null }), letter(3), letter(4, { reason: null })]);
      await redrive(1);
      const taken = await table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 10));
      expect(taken.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
      expect(await table.states(reader)).toEqual(["1 released", "2 released", "3 dead", "4 held"]);
    });

    test("a take has a bound in rows and in bytes, and takes at least one row", async () => {
      newReader();
      const large = "x".repeat(5_000_000);
      await table.insert(reader, [letter(1, { payload: large }), letter(2, { payload: large }), letter(3)]);
      await redrive(1, 2, 3);
      const take = (rowsMax: number) => table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, rowsMax));
      expect((await take(10)).map(({ sequence }) => sequence)).toEqual([1n]);
      await table.database.query(`update ${table.deadLetters.table} set payload = 'small' where reader = $1 and sequence = 2`, [
        reader.name,
      ]);
      expect((await take(10)).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
      expect((await take(2)).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    });

    test("a released row that is refused again is dead, and what was only held behind it is held again", async () => {
      newReader();
      await table.insert(reader, [
        letter(1),
        letter(2, { reason: null }),
        letter(3, { attempts: 2 }),
        letter(4, { reason: null }),
        letter(5, { key: null }),
      ]);
      await redrive(1, 3, 5);
      const taken = await table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 10));
      expect(taken).toHaveLength(4);
      const refusal = { reason: "stillTooLarge", attempts: 3, mayBeStored: true };
      const refused = await table.unit(async (tx) => {
        expect(await table.deadLetters.finish(tx, reader, taken[0]!)).toBe(true);
        return table.deadLetters.refuse(tx, reader, taken[1]!, refusal);
      });
      expect(refused).toBe(true);
      // 2 has a reason of its own now; 3 had one before and stays released behind it.
      expect(await table.states(reader)).toEqual(["1 done", "2 dead", "3 released", "4 held", "5 released"]);
      const [row] = await table.database.query(
        `select reason, attempts, may_be_stored from ${table.deadLetters.table} where reader = $1 and sequence = 2`,
        [reader.name],
      );
      expect(row).toEqual({ reason: "stillTooLarge", attempts: 4, may_be_stored: true });
    });

    test("a row that is not released is neither finished nor refused nor claimed", async () => {
      newReader();
      await table.insert(reader, [letter(1)]);
      const { finish, refuse, claim } = table.deadLetters;
      await table.unit(async (tx) => {
        expect(await finish(tx, reader, letter(1))).toBe(false);
        expect(await refuse(tx, reader, letter(1), { reason: "again", attempts: 1, mayBeStored: false })).toBe(false);
        expect(await claim(tx, reader, letter(1))).toBe(false);
      });
      expect(await table.states(reader)).toEqual(["1 dead"]);
    });

    test("a released row is claimed by one unit at a time, and nobody waits for it", async () => {
      newReader();
      await table.insert(reader, [letter(1)]);
      await redrive(1);
      await table.unit(async (tx) => {
        expect(await table.deadLetters.claim(tx, reader, letter(1))).toBe(true);
        expect(await table.unit((other) => table.deadLetters.claim(other, reader, letter(1)))).toBe(false);
      });
      expect(await table.unit((tx) => table.deadLetters.claim(tx, reader, letter(1)))).toBe(true);
    });

    test("a discard that came first keeps a held row from being taken", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null })]);
      await redrive(1);
      let taking: Promise<readonly unknown[]> = Promise.resolve([]);
      await table.unit(async (tx) => {
        await tx.query(`update ${table.deadLetters.table} set state = 'discarded', decided_at = now() where reader = $1 and sequence = 2`, [
          reader.name,
        ]);
        taking = table.unit((other) => table.deadLetters.takeReleased(other, reader, lane, 10));
        await waitForLock();
      });
      expect(await taking).toHaveLength(1);
      expect(await table.states(reader)).toEqual(["1 released", "2 discarded"]);
    });

    test("a take waits for nobody who is at a released row, and ends before a held row that somebody else has changed", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null }), letter(3, { reason: null })]);
      await redrive(1);
      const { claim, takeReleased } = table.deadLetters;
      let second: Promise<readonly { readonly sequence: bigint }[]> = Promise.resolve([]);
      await table.unit(async (tx) => {
        expect(await claim(tx, reader, letter(1))).toBe(true);
        expect(await table.unit((other) => takeReleased(other, reader, lane, 1))).toHaveLength(1);
        expect(await takeReleased(tx, reader, lane, 2)).toHaveLength(2);
        second = table.unit((other) => takeReleased(other, reader, lane, 10));
        await waitForLock();
      });
      // 2 was released by the first one, after the second had looked: 3 does not go before it.
      expect((await second).map(({ sequence }) => sequence)).toEqual([1n]);
      expect((await table.unit((tx) => takeReleased(tx, reader, lane, 10))).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
    });

    test("types that became known are released, of their reason only and by pages", async () => {
      newReader();
      await table.insert(reader, [
        letter(1, { reason: "unknownType", type: "a.v1" }),
        letter(2, { reason: "unknownType", type: "b.v1" }),
        letter(3, { reason: "unknownType", type: "a.v1", key: null }),
        letter(4, { reason: "tooLarge", type: "a.v1" }),
      ]);
      const release = () => table.unit((tx) => table.deadLetters.releaseTypes(tx, reader, "unknownType", ["a.v1", "c.v1"], 1));
      expect([await release(), await release(), await release()]).toEqual([["m1"], ["m3"], []]);
      expect(await table.states(reader)).toEqual(["1 released", "2 dead", "3 released", "4 dead"]);
    });

    test("decided rows are removed when they are old enough, the oldest first, and open ones never", async () => {
      newReader();
      await table.insert(reader, [letter(1), letter(2), letter(3), letter(4, { reason: null })]);
      const sql = `update ${table.deadLetters.table} set state = 'done', decided_at = clock_timestamp() - $3 * interval '1 hour' where reader = $1 and sequence = $2`;
      for (const [sequence, hours] of [
        [1, 3],
        [2, 4],
        [3, 1],
      ] as const)
        await table.database.query(sql, [reader.name, String(sequence), hours]);
      const remove = () => table.deadLetters.removeDecided(table.database, reader, 2 * 3_600_000, 1);
      expect(await remove()).toBe(1);
      expect(await table.states(reader)).toEqual(["1 done", "3 done", "4 held"]);
      expect([await remove(), await remove()]).toEqual([1, 0]);
      expect(await table.states(reader)).toEqual(["3 done", "4 held"]);
    });

    test("readers do not see each other's rows", async () => {
      const mine = newReader();
      await table.insert(mine, [letter(1)]);
      const other = { origin: "inbox", name: mine.name } as const;
      expect(await table.deadLetters.summary(table.database, other)).toEqual({ hasOpenRows: false, highestSequence: null });
      expect(await table.deadLetters.lookUp(table.database, other, [1n], [lane])).toEqual({ finished: [], openLanes: [] });
    });

    /** Resolves when a session of this database waits for a lock. */
    async function waitForLock(): Promise<void> {
      const sql = "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      for (let look = 0; look < 2_000; look++) {
        const [row] = await table.database.query(sql, []);
        if (Number(row?.waiting) > 0) return;
      }
      throw new Error("Nobody waits for a lock.");
    }
  }),
);
