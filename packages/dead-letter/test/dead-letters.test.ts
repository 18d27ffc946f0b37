import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listDeadLetters, type Reader, type ReleasedLane } from "../src/index.ts";
import { type DeadLetterTable, deadLetterTable, letter } from "./dead-letter-table.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let table: DeadLetterTable;
    let reader: Reader;
    let readers = 0;
    const lane = { topic: "orders", key: "k", sequence: 0n, messageId: "" };
    const redrive = (...sequences: readonly number[]): Promise<void> => table.release(reader, ...sequences);

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
      expect([...found.finished].sort((left, right) => Number(left.sequence - right.sequence))).toEqual(
        [1n, 2n, 9n].map((sequence) => ({ sequence, messageId: `m${sequence}` })),
      );
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
      await table.discard(table.database, reader, 1);
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
      const all = await namesByPage(20);
      expect([...all].sort()).toEqual(letters.map(({ messageId }) => messageId).sort());
      const singles = ["single 0", "single 0", "single 1", "single 2", "single 3", "single 4", "a"];
      expect(all.filter((id) => singles.includes(id))).toEqual(singles);
      for (const lanesMax of [1, 2, 3, 5, 12]) expect(await namesByPage(lanesMax)).toEqual(all);
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
      await table.shrinkPayload(reader, 2);
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
      expect(await table.given(reader, 2)).toEqual({ reason: "stillTooLarge", attempts: 4, may_be_stored: true });
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
        await table.discard(tx, reader, 2);
        taking = table.unit((other) => table.deadLetters.takeReleased(other, reader, lane, 10));
        await table.someoneWaits();
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
        await table.someoneWaits();
      });
      // 2 was released by the first one, after the second had looked: 3 does not go before it.
      expect((await second).map(({ sequence }) => sequence)).toEqual([1n]);
      expect((await table.unit((tx) => takeReleased(tx, reader, lane, 10))).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
    });

    test("a take without order has what was released behind a dead row, too, leaves what others have, and ends with its unit", async () => {
      newReader();
      const { takeReleasedAnyhow, finish } = table.deadLetters;
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const last = letter(5, { key: null, payload: bytes, headers: null });
      await table.insert(reader, [letter(1), letter(2), letter(3, { reason: null }), letter(4, { key: "other" }), last]);
      await redrive(2, 4, 5);
      const sequences = (taken: readonly { readonly sequence: bigint }[]): readonly number[] =>
        taken.map(({ sequence }) => Number(sequence)).sort((one, other) => one - other);
      await table.unit(async (tx) => {
        const taken = await takeReleasedAnyhow(tx, reader, 2);
        expect(taken).toHaveLength(2);
        const others = await table.unit((other) => takeReleasedAnyhow(other, reader, 10));
        expect(sequences([...taken, ...others])).toEqual([2, 4, 5]);
      });
      const all = await table.unit(async (tx) => {
        const taken = await takeReleasedAnyhow(tx, reader, 10);
        for (const one of taken) expect(await finish(tx, reader, one)).toBe(true);
        return taken;
      });
      expect(all.find(({ sequence }) => sequence === 5n)).toMatchObject({ ...last, state: "released", reader: reader.name });
      expect(await table.unit((tx) => takeReleasedAnyhow(tx, reader, 10))).toEqual([]);
      expect(await table.deadLetters.counts(table.database, reader, 10)).toEqual({ dead: 1, held: 1, released: 0 });
    });

    test("a take without order ends at its bytes, with one row at least", async () => {
      newReader();
      const payload = "x".repeat(5 * 1024 * 1024);
      await table.insert(reader, [letter(1, { payload }), letter(2, { payload })]);
      await redrive(1, 2);
      const { takeReleasedAnyhow } = table.deadLetters;
      expect(await table.unit((tx) => takeReleasedAnyhow(tx, reader, 10))).toHaveLength(1);
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
      for (const [sequence, hours] of [
        [1, 3],
        [2, 4],
        [3, 1],
      ] as const)
        await table.age(reader, sequence, hours);
      const remove = () => table.deadLetters.removeDecided(table.database, reader, 2 * 3_600_000, 1);
      expect(await remove()).toBe(1);
      expect(await table.states(reader)).toEqual(["1 done", "3 done", "4 held"]);
      expect([await remove(), await remove()]).toEqual([1, 0]);
      expect(await table.states(reader)).toEqual(["3 done", "4 held"]);
    });

    test("lanes, ids, readers and types that differ in a space at the end, in case or in an accent are different ones", async () => {
      newReader();
      const alike = ["k", "k ", "K", "ḱ", "k\u0301"];
      const odd: Reader = { origin: "relay", name: `${reader.name} ` };
      await table.insert(
        reader,
        alike.flatMap((key) => [
          letter(0, { messageId: key, key }),
          letter(0, { messageId: `topic ${key}`, key: "one", topic: key }),
          letter(1, { messageId: `type ${key}`, key: null, reason: "unknownType", type: key }),
          letter(1, { messageId: `reason ${key}`, key: null, reason: `unknownType ${key}`.slice(0, -1), type: "k" }),
        ]),
      );
      await table.insert(odd, [letter(5)]);
      expect(await table.states(reader)).toHaveLength(20);
      expect(await table.states(odd)).toEqual(["5 dead"]);

      const { deadLetters, database, space } = table;
      for (const key of alike) {
        const lanes = [
          { topic: "orders", key },
          { topic: key, key: "one" },
          { topic: `${key} `, key: "two" },
        ];
        const found = await deadLetters.lookUp(database, reader, [], lanes);
        expect(found.openLanes.map(({ topic }) => topic)).toEqual(["orders", key]);
        const named = await listDeadLetters(database, space, { reader: reader.name, topic: key });
        expect(named.map(({ messageId }) => messageId)).toEqual([`topic ${key}`]);
        const typed = await listDeadLetters(database, space, { reader: reader.name, type: key });
        expect(typed.map(({ messageId }) => messageId)).toContain(`type ${key}`);
        expect(await listDeadLetters(database, space, { reader: reader.name, messageId: key })).toHaveLength(1);
      }
      const released = await table.unit((tx) => deadLetters.releaseTypes(tx, reader, "unknownType", ["k"], 100));
      expect(released).toEqual(["type k"]);
      await table.release(reader, 0);
      const name = { topic: "orders", key: "k ", sequence: 0n, messageId: "" };
      const taken = await table.unit((tx) => deadLetters.takeReleased(tx, reader, name, 10));
      expect(taken.map(({ messageId }) => messageId)).toEqual(["k "]);
      await table.unit(async (tx) => {
        expect(await deadLetters.finish(tx, reader, letter(0, { messageId: "k  " }))).toBe(false);
        expect(await deadLetters.finish(tx, reader, letter(0, { messageId: "k " }))).toBe(true);
      });
    });

    test("a unit at the rows of one lane keeps nobody from another lane, and no new row out of its own", async () => {
      newReader();
      await table.insert(reader, [letter(2), letter(4, { reason: null }), letter(6, { key: null }), letter(20, { key: "other" })]);
      await redrive(2, 6, 20);
      const { claim, finish, refuse, takeReleased, releaseTypes, insert } = table.deadLetters;
      await table.unit(async (tx) => {
        await takeReleased(tx, reader, lane, 10);
        await refuse(tx, reader, letter(2), { reason: "again", attempts: 1, mayBeStored: false });
        await finish(tx, reader, letter(6));
        for (const sequence of [1, 3, 5, 7]) expect(await claim(tx, reader, letter(sequence))).toBe(false);
        await releaseTypes(tx, reader, "unknownType", ["a.v1"], 10);
        await insert(tx, reader, [letter(4), letter(30, { key: "third" })]);

        // Nothing of this waits: the unit around it would wait for its own end.
        await table.unit(async (other) => {
          const letters = [1, 3, 5, 7, 21, 31].flatMap((sequence) => [letter(sequence), letter(sequence, { messageId: "x", key: null })]);
          await insert(other, reader, letters);
          expect(await takeReleased(other, reader, { ...lane, key: "other" }, 10)).toHaveLength(1);
          expect(await refuse(other, reader, letter(20), { reason: "again", attempts: 1, mayBeStored: false })).toBe(true);
        });
      });
      expect(await table.states(reader)).toHaveLength(17);
    });

    test("readers do not see each other's rows", async () => {
      const mine = newReader();
      await table.insert(mine, [letter(1)]);
      const other = { origin: "inbox", name: mine.name } as const;
      expect(await table.deadLetters.summary(table.database, other)).toEqual({ hasOpenRows: false, highestSequence: null });
      expect(await table.deadLetters.lookUp(table.database, other, [1n], [lane])).toEqual({ finished: [], openLanes: [] });
    });
  }),
);
