import type { ReceivedMessage, WaybillEvent } from "@waybill/core";
import { openDatabase, type Tx } from "@waybill/sql";
import { forEachDatabase, startFaultProxy, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Inbox, type InboxOptions, type Processed, reject } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      await fixture.database.query("create table stock (sku int primary key, sold int not null default 0)", []);
    });
    beforeEach(async () => {
      await fixture.clear();
      await fixture.database.execute("delete from stock", []);
      await fixture.database.execute("insert into stock (sku) values (1), (2), (3), (4)", []);
    });
    afterAll(() => fixture.close());

    const handled = { kind: "done", as: "handled" };
    const count = (events: readonly WaybillEvent[], name: WaybillEvent["name"]): number =>
      events.filter((event) => event.name === name).length;
    const together = (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> =>
      Promise.all(messages.map((message) => inbox.process({ message, redelivered: false })));
    /** One place, so that what arrives together is one batch, and nothing counts as possibly delivered before. */
    const batching = (options: Partial<InboxOptions> = {}) => fixture.inbox({ concurrency: 1, prefetch: 0, ...options });
    const effectInbox = (options: Partial<InboxOptions> = {}) => {
      const made = batching(options);
      made.inbox.on(shop.orderPlaced, (message, tx) => fixture.effect(tx, message.id));
      return made;
    };
    const idsOf = (messages: readonly ReceivedMessage[]): readonly string[] => messages.map(({ id }) => id);
    const someOf = (many: number, over: (place: number) => Partial<ReceivedMessage> = () => ({})) =>
      Array.from({ length: many }, (_, place) => placed(over(place)));

    test("messages that arrive together share a transaction, and each is handled once, in the order of its key", async () => {
      const { inbox, events } = effectInbox();
      const messages = someOf(60, (place) => ({ key: place % 4 === 0 ? null : `k${place % 4}` }));
      expect(await together(inbox, messages)).toEqual(messages.map(() => handled));
      // One, unless the machine is so slow that a batch's turn ends before its last handler has begun.
      expect(count(events, "inbox.batchCommitted")).toBeLessThan(10);
      const effects = await fixture.effects();
      expect([...effects].sort()).toEqual(idsOf(messages).toSorted());
      for (const key of ["k1", "k2", "k3"]) {
        const ids = idsOf(messages.filter((message) => message.key === key));
        expect(effects.filter((id) => ids.includes(id))).toEqual(ids);
      }
      expect(await fixture.handled()).toEqual(idsOf(messages).toSorted());
      expect(await together(inbox, messages)).toEqual(messages.map(() => ({ kind: "done", as: "duplicate" })));
      expect(await fixture.effects()).toHaveLength(60);
    });

    test("a lone message has its transaction at once, and what comes meanwhile makes the next batch", async () => {
      const { inbox, events } = batching();
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await gate;
        await fixture.effect(tx, id);
      });
      const first = inbox.process({ message: placed(), redelivered: false });
      await waitUntil(() => count(events, "inbox.handling") === 1, { what: "the first runs" });
      const others = together(inbox, someOf(20));
      open();
      expect([await first, ...(await others)]).toEqual(Array.from({ length: 21 }, () => handled));
      expect([count(events, "inbox.unitBegun"), count(events, "inbox.batchCommitted")]).toEqual([1, 1]);
    });

    test("a batch is bounded by number and by bytes", async () => {
      const { inbox, events } = effectInbox({ batchMax: 10, batchBytesMax: 100 });
      await together(inbox, someOf(25));
      const sizes = (): readonly unknown[] => events.flatMap((event) => (event.name === "inbox.batchBegun" ? [event.messages] : []));
      const small = sizes().slice();
      expect(small.every((size) => Number(size) <= 10)).toBe(true);
      await together(
        inbox,
        someOf(4, () => ({ payload: Buffer.from(JSON.stringify({ orderId: "x".repeat(60) })) })),
      );
      expect(sizes()).toEqual(small); // Two of them are more than a batch may hold, so each goes by itself.
      expect(await fixture.effects()).toHaveLength(29);
    });

    test("a message that fails costs its batch one rollback: its neighbours are handled, and it alone comes again", async () => {
      const { inbox, events } = batching();
      const messages = someOf(10, (place) => ({ key: `k${place % 5}` }));
      const [, , , bad] = messages as [ReceivedMessage, ReceivedMessage, ReceivedMessage, ReceivedMessage];
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === bad.id) throw new Error("no");
      });
      const processed = await together(inbox, messages);
      expect(processed[3]).toMatchObject({ kind: "again", as: "failed" });
      expect(processed.filter(({ kind }) => kind === "done")).toHaveLength(9);
      expect(await fixture.handled()).toEqual(idsOf(messages.filter(({ id }) => id !== bad.id)).toSorted());
      expect([...(await fixture.effects())].sort()).toEqual(await fixture.handled());
      expect([count(events, "inbox.batchRolledBack"), count(events, "inbox.handlerFailed")]).toEqual([1, 1]);
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 1")).toBe(1);
      expect(await fixture.count("inbox_attempt")).toBe(1);
    });

    test("what needs more than the plain way is left by the batch, and its key keeps its order behind it", async () => {
      const { inbox, events } = effectInbox();
      const before = placed({ key: "h" });
      await inbox.process({ message: before, redelivered: false });
      const old = placed({ key: "o", createdAtMs: Date.now() - 15 * 86_400_000 });
      const unreadable = placed({ key: "u", payload: Buffer.from("{not json") });
      const unknown = placed({ key: "t", type: "nobody.v1" });
      const forged = { ...before, payload: Buffer.from('{"orderId":"forged"}') };
      const nameless = placed({ id: "", key: "n" });
      const plain = placed({ key: "p" });
      const followers = ["o", "u", "t", "h", "n", "p"].map((key) => placed({ key }));
      const processed = await together(inbox, [before, old, unreadable, unknown, forged, nameless, plain, ...followers]);
      expect(processed.map((one) => (one.kind === "done" ? one.as : one.kind))).toEqual([
        "duplicate",
        ...Array.from({ length: 5 }, () => "deadLettered"),
        "handled",
        ...Array.from({ length: 5 }, () => "held"),
        "handled",
      ]);
      expect(count(events, "inbox.batchRolledBack")).toBe(0);
      expect(await fixture.effects()).toEqual([before.id, plain.id, followers.at(-1)?.id]);
      expect((await fixture.letters()).filter((letter) => letter.includes(" dead ")).map((letter) => letter.split(" ").at(-1))).toEqual(
        expect.arrayContaining(["olderThanRetention", "payloadInvalid", "unknownType", "sameIdOtherContent", "messageIdInvalid"]),
      );
      expect(await fixture.count("inbox")).toBe(3);
    });

    test("under hold, messages of a batch wait behind a dead letter of their key", async () => {
      const { inbox } = batching();
      inbox.on(shop.orderPlaced, ({ id, key }, tx) => (id === "dead" ? reject("closed") : fixture.effect(tx, `${key} ${id}`)));
      await inbox.process({ message: placed({ id: "dead", key: "a" }), redelivered: false });
      const messages = [placed({ id: "1", key: "a" }), placed({ id: "2", key: "b" }), placed({ id: "3", key: "a" })];
      expect((await together(inbox, messages)).map((one) => one.kind === "done" && one.as)).toEqual(["held", "handled", "held"]);
      expect(await fixture.effects()).toEqual(["b 2"]);
      expect(await fixture.letters()).toEqual(["dead dead closed", "1 held null", "3 held null"]);
    });

    test("a message that is delivered twice in one batch has one effect, also under two keys", async () => {
      const { inbox } = effectInbox();
      const twice = placed({ key: "a" });
      const alone = placed({ key: null });
      const moved = { ...twice, key: "b" };
      const processed = await together(inbox, [twice, placed({ key: "c" }), moved, twice, alone, alone]);
      expect(processed.filter(({ as }) => as === "handled")).toHaveLength(3);
      expect(processed.filter(({ as }) => as === "duplicate")).toHaveLength(3);
      expect(await fixture.effects()).toHaveLength(3);
    });

    test("processes that get the same messages at once, in different orders, handle each once", async () => {
      const inboxes = [effectInbox(), effectInbox(), effectInbox({ concurrency: 3 })];
      for (let round = 0; round < 20; round++) {
        const messages = someOf(20, () => ({ key: null }));
        await Promise.all(
          inboxes.map(async ({ inbox }, place) => {
            let left: readonly ReceivedMessage[] = place === 0 ? messages : messages.toReversed();
            while (left.length > 0) {
              const processed = await together(inbox, left);
              left = left.filter((_, index) => processed[index]?.kind === "again");
            }
          }),
        );
      }
      const ids = await fixture.effects();
      expect([ids.length, new Set(ids).size]).toEqual([400, 400]);
      expect(await fixture.count("inbox")).toBe(400);
      expect(inboxes.flatMap(({ events }) => events).some(({ name }) => name === "inbox.handlerFailed")).toBe(false);
    });

    test.runIf(server.dialect === "postgres")("so they do under SERIALIZABLE", async () => {
      const url = new URL(fixture.url);
      url.searchParams.set("options", "-c default_transaction_isolation=serializable");
      const database = openDatabase({ url: url.href, connections: 4 });
      const inboxes = [effectInbox({ database }), effectInbox({ database })];
      for (let round = 0; round < 10; round++) {
        const messages = someOf(10, () => ({ key: null }));
        await Promise.all(
          inboxes.map(async ({ inbox }) => {
            for (let left = messages; left.length > 0; ) {
              const processed = await together(inbox, left);
              left = left.filter((_, index) => processed[index]?.kind === "again");
            }
          }),
        );
      }
      const ids = await fixture.effects();
      expect([ids.length, new Set(ids).size]).toEqual([100, 100]);
      expect(inboxes.flatMap(({ events }) => events).some(({ name }) => name === "inbox.handlerFailed")).toBe(false);
      await database.close();
    });

    test("batches that deadlock are repeated as a whole and use up no attempt", async () => {
      const { inbox, events } = fixture.inbox({ concurrency: 2, prefetch: 0, batchMax: 2 });
      let arrived = 0;
      let bothThere: () => void = () => undefined;
      const both = new Promise<void>((resolve) => {
        bothThere = resolve;
      });
      const sell = async (tx: Tx, sku: number) =>
        void (await tx.query(fixture.sql("update stock set sold = sold + 1 where sku = $1"), [sku]));
      inbox.on(shop.orderPlaced, async ({ key }, tx, { attempt }) => {
        expect(attempt).toBe(1);
        await sell(tx, key === "a" || key === "d" ? 1 : 2);
        arrived += 1;
        if (arrived === 2) bothThere();
        await both;
      });
      const messages = ["a", "b", "c", "d"].map((key) => placed({ key }));
      expect(await together(inbox, messages)).toEqual(messages.map(() => handled));
      expect(await fixture.database.query("select sold from stock where sku < 3 order by sku", [])).toEqual([{ sold: 2 }, { sold: 2 }]);
      expect([count(events, "inbox.handlerFailed"), await fixture.count("inbox_attempt")]).toEqual([0, 0]);
      expect(count(events, "inbox.batchBegun")).toBeGreaterThan(2);
    });

    test("a handler that ends the transaction by itself harms no message of its batch", async () => {
      const { inbox, events } = batching();
      const messages = someOf(6, (place) => ({ key: `k${place}`, id: `m${place}` }));
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "m2") await tx.query("commit", []).catch(() => undefined);
      });
      const processed = await together(inbox, messages);
      expect(processed.filter(({ kind }) => kind === "done")).toHaveLength(5);
      expect(processed[2]).toMatchObject({ kind: "again" });
      expect(count(events, "inbox.batchRolledBack")).toBe(1);
      const effects = await fixture.effects();
      for (const id of ["m0", "m1", "m3", "m4", "m5"]) expect(effects.filter((effect) => effect === id)).toHaveLength(1);
    });

    test("a handler that sends a statement after it has ended is refused, and the batch goes on", async () => {
      const { inbox } = batching();
      let late: Promise<unknown> = Promise.resolve();
      let isFirst = true;
      let firstTx: Tx | null = null;
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        if (!isFirst) late = (firstTx as Tx).query("select 1", []).catch((error: unknown) => error);
        isFirst = false;
        firstTx ??= tx;
        await fixture.effect(tx, id);
      });
      expect(await together(inbox, someOf(2))).toEqual([handled, handled]);
      expect(await late).toMatchObject({ code: "WAYBILL_NOT_IN_TRANSACTION" });
    });

    test("a handler that passes its deadline in a batch counts as started, and its neighbours are handled", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 300 });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "slow") await new Promise(() => undefined);
      });
      const messages = [placed({ key: "a" }), placed({ id: "slow", key: "b" }), placed({ key: "c" })];
      const processed = await together(inbox, messages);
      expect(processed).toMatchObject([handled, { kind: "again", as: "failed" }, handled]);
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 0")).toBe(1);
      expect(await fixture.effects()).toHaveLength(2);
    });

    test("slow handlers make small batches: what was not reached goes back in line with its row removed", async () => {
      const { inbox, events } = batching();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await tx.query(fixture.sleep(0.15), []);
        await fixture.effect(tx, id);
      });
      const messages = someOf(6);
      expect(await together(inbox, messages)).toEqual(messages.map(() => handled));
      expect(await fixture.effects()).toEqual(idsOf(messages));
      expect(count(events, "inbox.batchCommitted")).toBeGreaterThan(1);
      expect(count(events, "inbox.batchRolledBack")).toBe(0);
    });

    test("a stop lets the handler that runs end, commits what its batch has done, and sends the rest away", async () => {
      const { inbox } = batching();
      let closing: Promise<void> = Promise.resolve();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        if (id === "second") closing = inbox.close();
        await fixture.effect(tx, id);
      });
      const processed = await together(inbox, [placed({ id: "first" }), placed({ id: "second" }), placed({ id: "third" })]);
      await closing;
      expect(processed).toEqual([handled, handled, { kind: "again", afterMs: 0, as: "stopped" }]);
      expect(await fixture.handled()).toEqual(["first", "second"]);
      expect(await fixture.effects()).toEqual(["first", "second"]);
    });

    describe("a handler that takes many", () => {
      const bothInbox = (options: Partial<InboxOptions> = {}, calls: (readonly string[])[] = []) => {
        const made = batching(options);
        made.inbox.onBatch(shop.orderPlaced, async (messages, tx) => {
          calls.push(messages.map(({ payload, id }) => `${payload.orderId} ${id}`));
          for (const { id } of messages) await fixture.effect(tx, id);
          if (messages.some(({ id }) => id.startsWith("bad"))) reject("bad one");
        });
        made.inbox.on(shop.orderPaid, async ({ id }, tx) => {
          calls.push([`paid ${id}`]);
          await fixture.effect(tx, id);
        });
        return { ...made, calls };
      };

      test("gets what arrived together in one call, a lone message as an array of one", async () => {
        const { inbox, calls } = bothInbox();
        await together(
          inbox,
          someOf(3, (place) => ({ id: `m${place}`, key: `k${place}` })),
        );
        await together(inbox, [placed({ id: "lone" })]);
        expect(calls).toEqual([["k m0", "k m1", "k m2"], ["k lone"]]);
      });

      test("gets no message before an earlier one of its key that has another type", async () => {
        const { inbox, calls } = bothInbox();
        const { type } = shop.orderPaid;
        await together(inbox, [
          placed({ id: "1", key: "a" }),
          placed({ id: "2", key: "b" }),
          placed({ id: "3", key: "a", type }),
          placed({ id: "4", key: "a" }),
          placed({ id: "5", key: "c" }),
        ]);
        expect(calls).toEqual([["k 1"], ["paid 3"], ["k 4", "k 2", "k 5"]]);
      });

      test("that rejects one of them has them one by one, and the others are handled", async () => {
        const { inbox, calls } = bothInbox();
        const messages = ["1", "bad 2", "3"].map((id) => placed({ id, key: id }));
        expect(await together(inbox, messages)).toEqual([handled, { kind: "done", as: "deadLettered" }, handled]);
        expect(calls.map((call) => call.length)).toEqual([3, 1, 1, 1]);
        expect(await fixture.letters()).toEqual(["bad 2 dead bad one"]);
        expect(await fixture.effects()).toEqual(["1", "3"]);
      });
    });

    test.each(["afterRequest", "beforeReply"] as const)(
      "a COMMIT of a batch that is cut (%s) is asked about: what was kept is done, the rest comes again, and each has one effect",
      async (at) => {
        const { hostname, port } = new URL(fixture.url);
        const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
        const database = openDatabase({ url: proxy.url(fixture.url), connections: 2 });
        const { inbox, events } = effectInbox({ database });
        await inbox.process({ message: placed({ id: "warm" }), redelivered: false });
        for (let round = 0; round < 10; round++) {
          const messages = someOf(5, (place) => ({ id: `m${round} ${place}` }));
          const fault = proxy.inject({ kind: "cut", at, pattern: fixture.commit });
          const first = await together(inbox, messages);
          expect(fault.fired).toBe(1);
          fault.lift();
          expect(new Set(first.map(({ kind, as }) => `${kind} ${as}`)).size).toBe(1);
          for (let tries = 0, left: readonly ReceivedMessage[] = messages; left.length > 0; tries++) {
            expect(tries).toBeLessThan(20);
            const processed = await Promise.all(left.map((message) => inbox.process({ message, redelivered: true })));
            left = left.filter((_, place) => processed[place]?.kind === "again");
          }
        }
        expect(count(events, "inbox.outcomeUnknown")).toBeGreaterThanOrEqual(10);
        const effects = (await fixture.effects()).filter((id) => id !== "warm");
        expect([effects.length, new Set(effects).size]).toEqual([50, 50]);
        await database.close();
        await proxy.stop();
      },
    );
  }),
);
