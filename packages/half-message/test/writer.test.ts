import { newMessageId, systemClock, systemRandom } from "@waybill/core";
import { type Database, openDatabase } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDeliveryStore } from "../src/create-delivery-store.ts";
import { createHalfMessageStore } from "../src/create-store.ts";
import type { HalfMessageStore, NewHalfMessage, Request } from "../src/store.ts";
import { createWriter, type Writer } from "../src/writer.ts";
import { type HalfMessageFixture, halfMessageFixture } from "./half-message-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let store: HalfMessageStore;
    let writer: Writer;
    const batches: number[] = [];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      const deliveries = createDeliveryStore({
        random: systemRandom,
        space: fixture.space,
        rulesOf: () => ({ ack: "implicit", ordering: "key", giveUpAfterMs: 60_000 }),
      });
      store = createHalfMessageStore({ space: fixture.space, deliveries, random: systemRandom, retentionMs: 1_000 });
      writer = createWriter({
        store,
        units: fixture.database,
        connections: 1,
        clock: systemClock,
        onWriting: (_, requests) => batches.push(requests),
      });
    });
    afterAll(() => fixture.close());

    function halfMessage(id: string, changes: Partial<NewHalfMessage> = {}): NewHalfMessage {
      return {
        producer: "payments",
        id,
        fingerprint: "ab".repeat(32),
        barrier: null,
        orderKey: null,
        traceparent: null,
        preparedBy: "payments-1",
        checkAfterMs: 10_000,
        suspendAfterMs: 60_000,
        messages: [
          {
            messageId: id,
            type: "a",
            topic: "payments",
            key: null,
            businessKey: null,
            delayMs: 0,
            headers: {},
            payload: Buffer.from("x"),
            destinations: ["kafka"],
          },
        ],
        ...changes,
      };
    }

    function commit(id: string): Request {
      const wish = { kind: "commit", fingerprint: null, mayCreate: false } as const;
      return { producer: "payments", id, wish, actor: "producer:payments-1", reason: null, checkNumber: null, body: null };
    }

    test("what waits for a connection is joined: one transaction first, then one for all the others", async () => {
      batches.length = 0;
      const ids = Array.from({ length: 50 }, newMessageId);
      const prepared = await Promise.all(ids.map((id) => writer.prepare(halfMessage(id))));
      expect(prepared.every(({ isNew }) => isNew)).toBe(true);
      expect(batches).toEqual([1, 49]);
    });

    test("what is gathered in one turn is joined from the first on", async () => {
      batches.length = 0;
      writer.gather();
      await Promise.all(Array.from({ length: 50 }, () => writer.prepare(halfMessage(newMessageId()))));
      expect(batches).toEqual([50]);
      await writer.prepare(halfMessage(newMessageId()));
      expect(batches).toEqual([50, 1]);
    });

    test("a batch holds 100 rows at most", async () => {
      batches.length = 0;
      await Promise.all(Array.from({ length: 250 }, () => writer.prepare(halfMessage(newMessageId()))));
      expect(batches).toEqual([1, 100, 100, 49]);
    });

    test("a row that the database refuses touches none of its neighbours", async () => {
      const bad = halfMessage(newMessageId(), { barrier: "x".repeat(50) });
      const good = Array.from({ length: 20 }, () => halfMessage(newMessageId()));
      const ended = await Promise.allSettled([...good.slice(0, 10), bad, ...good.slice(10)].map((each) => writer.prepare(each)));
      expect(ended.map(({ status }) => status)).toEqual([...Array(10).fill("fulfilled"), "rejected", ...Array(10).fill("fulfilled")]);
      for (const { id } of good) expect(await fixture.count("half_message_body", `id = '${id}'`)).toBe(1);
      expect(await fixture.count("half_message", `id = '${bad.id}'`)).toBe(0);
    });

    /** Keeps everybody else from storing it, until it is let go. */
    async function hold(id: string): Promise<() => Promise<void>> {
      const gate: { open: () => void } = { open: () => undefined };
      const isOpen = new Promise<void>((resolve) => {
        gate.open = resolve;
      });
      let hasIt: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        hasIt = resolve;
      });
      const holding = fixture.database.unitOfWork(
        async (tx) => {
          await store.prepare(tx, [halfMessage(id)]);
          hasIt();
          await isOpen;
        },
        { operation: "hold", deadlineMs: 60_000 },
      );
      await held;
      return async () => {
        gate.open();
        await holding;
      };
    }

    test("who waits for too long is sent away while another one's transaction goes on", async () => {
      const [held, behind] = [newMessageId(), newMessageId()];
      const impatient = createWriter({ store, units: fixture.database, connections: 1, clock: systemClock, waitMsMax: 100 });
      const letGo = await hold(held);
      const first = impatient.prepare(halfMessage(held));
      await expect(impatient.prepare(halfMessage(behind))).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
      await letGo();
      expect(await first).toMatchObject({ isNew: false });
      await impatient.idle();
      expect(await fixture.count("half_message", `id = '${behind}'`)).toBe(0);
    });

    test("the rows of a refused batch take no longer than one would: what is behind a row that waits is sent away untried", async () => {
      const [bad, held, behind] = ["a", "b", "c"].map((letter) => `${letter}-${newMessageId()}`) as [string, string, string];
      const impatient = createWriter({ store, units: fixture.database, connections: 1, clock: systemClock, waitMsMax: 300 });
      const letGo = await hold(held);
      const batch = [newMessageId(), bad, held, behind].map((id) =>
        impatient.prepare(halfMessage(id, id === bad ? { barrier: "x".repeat(50) } : {})),
      );
      const ended = (await Promise.allSettled(batch)).map((one) =>
        one.status === "fulfilled" ? "stored" : (one.reason as { code: string }).code,
      );
      await letGo();
      expect(ended).toEqual(["stored", "WAYBILL_DATABASE", "WAYBILL_DEADLINE", "WAYBILL_DEADLINE"]);
      expect(await fixture.count("half_message", `id = '${behind}'`)).toBe(0);
    });

    test("what is wished of one half message is done in the order in which it was wished", async () => {
      const id = newMessageId();
      const [first, second, third] = await Promise.all([
        writer.prepare(halfMessage(id)),
        writer.judge(commit(id)),
        writer.judge({ ...commit(id), wish: { kind: "rollback" } }),
      ]);
      expect([first.isNew, second.verdict.kind, third.verdict]).toEqual([
        true,
        "decide",
        { kind: "refused", code: "already_committed", log: "conflict" },
      ]);
    });

    test("batches of many processes over the same half messages, in crossed order, decide each once and meet no deadlock that anybody sees", async () => {
      const databases: Database[] = Array.from({ length: 3 }, () => openDatabase({ url: fixture.url, connections: 2 }));
      const writers = databases.map((units) => createWriter({ store, units, connections: 2, clock: systemClock }));
      for (let round = 0; round < 5; round += 1) {
        const ids = Array.from({ length: 80 }, newMessageId);
        await Promise.all(ids.map((id) => writer.prepare(halfMessage(id))));
        const crossed = writers.flatMap((each, index) => (index % 2 === 0 ? ids : ids.toReversed()).map((id) => each.judge(commit(id))));
        const judged = await Promise.all(crossed);
        expect(judged.filter(({ verdict }) => verdict.kind === "decide")).toHaveLength(ids.length);
        expect(judged.filter(({ verdict }) => verdict.kind === "stands")).toHaveLength(ids.length * 2);
      }
      expect(await fixture.count("decision_log", "event = 'committed'")).toBe(await fixture.count("half_message", "state = 'committed'"));
      for (const database of databases) await database.close();
    });
  }),
);
