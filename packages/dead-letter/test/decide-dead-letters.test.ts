import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { discardDeadLetters, listDeadLetters, type Reader, redriveDeadLetters } from "../src/index.ts";
import { type DeadLetterTable, deadLetterTable, letter } from "./dead-letter-table.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let table: DeadLetterTable;
    let readers = 0;
    const newReader = (): Reader => ({ origin: "relay", name: `default/reader-${++readers}` });
    const by = { who: "ann", why: "the topic exists now" };

    beforeAll(async () => {
      table = await deadLetterTable(server);
    });
    afterAll(() => table.close());

    const audit = (reader: Reader): Promise<readonly unknown[]> => table.audit(reader);

    test("a redrive releases dead rows only, in batches, with a line of audit for each", async () => {
      const reader = newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null }), letter(3), letter(4, { type: "other.v1" })]);
      const filter = { origin: "relay", reader: reader.name, type: "shop.order.placed.v1" } as const;
      expect(await redriveDeadLetters(table.database, table.space, filter, { ...by, dryRun: true })).toEqual({ rows: 2 });
      expect(await table.states(reader)).toEqual(["1 dead", "2 held", "3 dead", "4 dead"]);
      expect(await redriveDeadLetters(table.database, table.space, filter, { ...by, batchRows: 1 })).toEqual({ rows: 2 });
      expect(await table.states(reader)).toEqual(["1 released", "2 held", "3 released", "4 dead"]);
      expect(await audit(reader)).toEqual(
        [1, 3].map((sequence) => ({
          who: "ann",
          what: "dead-letter.redrive",
          subject: `relay ${reader.name} sequence ${sequence} message m${sequence}`,
          why: "the topic exists now",
        })),
      );
      expect(await redriveDeadLetters(table.database, table.space, filter, by)).toEqual({ rows: 0 });
    });

    test("a discard closes dead and held rows, and refuses released ones", async () => {
      const reader = newReader();
      await table.insert(reader, [letter(1), letter(2, { reason: null }), letter(3, { key: "other" })]);
      await redriveDeadLetters(table.database, table.space, { reader: reader.name, messageId: "m3" }, by);
      expect(await discardDeadLetters(table.database, table.space, { reader: reader.name, state: "held" }, by)).toEqual({ rows: 1 });
      expect(await discardDeadLetters(table.database, table.space, { reader: reader.name }, by)).toEqual({ rows: 1 });
      expect(await table.states(reader)).toEqual(["1 discarded", "2 discarded", "3 released"]);
      expect(await audit(reader)).toHaveLength(3);
    });

    test("of a discard and a take at the same moment exactly one has a held row", async () => {
      for (let round = 0; round < 40; round++) {
        const reader = newReader();
        await table.insert(reader, [letter(1), letter(2, { reason: null })]);
        await redriveDeadLetters(table.database, table.space, { reader: reader.name }, by);
        const lane = { topic: "orders", key: "k", sequence: 1n, messageId: "" };
        const [discarded, taken] = await Promise.all([
          discardDeadLetters(table.database, table.space, { reader: reader.name }, by),
          table.unit((tx) => table.deadLetters.takeReleased(tx, reader, lane, 10)),
        ]);
        const wasTaken = taken.some(({ sequence }) => sequence === 2n);
        expect({ rows: discarded.rows, states: await table.states(reader) }).toEqual(
          wasTaken ? { rows: 0, states: ["1 released", "2 released"] } : { rows: 1, states: ["1 released", "2 discarded"] },
        );
        expect(await audit(reader)).toHaveLength(1 + discarded.rows);
      }
    });

    test("a list pages through the rows, shows no payload, and filters", async () => {
      const reader = newReader();
      await table.insert(reader, [
        letter(1),
        letter(2, { reason: null, payload: null }),
        letter(3, { topic: "other", payload: new Uint8Array(7), createdAtMs: null }),
      ]);
      const first = await listDeadLetters(table.database, table.space, { reader: reader.name, limit: 2 });
      expect(first.map(({ messageId, state, payloadBytes }) => ({ messageId, state, payloadBytes }))).toEqual([
        { messageId: "m1", state: "dead", payloadBytes: 7 },
        { messageId: "m2", state: "held", payloadBytes: null },
      ]);
      expect(first[0]).toMatchObject({
        origin: "relay",
        reader: reader.name,
        key: "k",
        reason: "tooLarge",
        attempts: 1,
        createdAtMs: 1_700_000_000_001,
        decidedAtMs: null,
      });
      expect(Object.keys(first[0]!)).not.toContain("payload");
      const rest = await listDeadLetters(table.database, table.space, { reader: reader.name, limit: 2, after: first[1]! });
      expect(rest.map(({ messageId, createdAtMs }) => ({ messageId, createdAtMs }))).toEqual([{ messageId: "m3", createdAtMs: null }]);
      const held = await listDeadLetters(table.database, table.space, { reader: reader.name, state: "held" });
      expect(held.map(({ messageId }) => messageId)).toEqual(["m2"]);
      const ofTopic = await listDeadLetters(table.database, table.space, { reader: reader.name, topic: "other" });
      expect(ofTopic.map(({ messageId }) => messageId)).toEqual(["m3"]);
      await expect(listDeadLetters(table.database, table.space, { limit: 0 })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    });
  }),
);
