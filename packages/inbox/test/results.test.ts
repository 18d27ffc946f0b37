/** What handlers return and the inbox keeps, for deliveries that come again and for requests that are made again. */
import { isWaybillError, type ReceivedMessage, type WaybillEvent } from "@waybill/core";
import { type Database, openDatabase, type Tx } from "@waybill/sql";
import { type FaultProxy, forEachDatabase, startFaultProxy, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Answered, Inbox, InboxOptions, Processed } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    let proxy: FaultProxy;
    /** What a second process would have. */
    let elsewhere: Database;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      elsewhere = openDatabase({ url: fixture.url, connections: 10 });
      const { hostname, port } = new URL(fixture.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    beforeEach(() => fixture.clear());
    afterAll(async () => {
      await elsewhere.close();
      await proxy.stop();
      await fixture.close();
    });

    const names = (events: readonly WaybillEvent[]): readonly string[] => events.map(({ name }) => name);
    const codeOf = async (promise: Promise<unknown>): Promise<unknown> => {
      try {
        return await promise;
      } catch (error) {
        return isWaybillError(error) ? error.code : error;
      }
    };
    const gate = (): { readonly promise: Promise<void>; readonly open: () => void } => {
      let open: () => void = () => undefined;
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      return { promise, open };
    };

    describe.each([
      ["one by one", {}],
      ["in a batch", { concurrency: 1, prefetch: 0 }],
    ] as const)("of messages that are handled %s", (way, options) => {
      const together = (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> =>
        Promise.all(messages.map((message) => inbox.process({ message, redelivered: false })));
      const counting = (over: Partial<InboxOptions> = {}): { readonly inbox: Inbox; readonly events: WaybillEvent[] } => {
        const made = fixture.inbox({ ...options, ...over });
        let handled = 0;
        made.inbox.on(
          shop.orderPlaced,
          async ({ id }, tx) => {
            await fixture.effect(tx, id);
            handled += 1;
            return { number: handled, at: new Date(0) };
          },
          { keepResult: true },
        );
        made.inbox.on(shop.orderPaid, () => undefined, { keepResult: true });
        return made;
      };

      test("a duplicate gets what the first returned, as JSON makes of it, and null for nothing", async () => {
        const { inbox, events } = counting();
        const messages = [placed({ key: "a" }), placed({ key: "a" }), placed({ key: "a", type: shop.orderPaid.type })];
        const results = [{ number: 1, at: "1970-01-01T00:00:00.000Z" }, { number: 2, at: "1970-01-01T00:00:00.000Z" }, null];
        expect(await together(inbox, messages)).toEqual(results.map((result) => ({ kind: "done", as: "handled", result })));
        expect(await together(inbox, messages)).toEqual(results.map((result) => ({ kind: "done", as: "duplicate", result })));
        expect(names(events).filter((name) => name === "inbox.resultKept")).toHaveLength(3);
        expect(names(events).includes("inbox.batchCommitted")).toBe(way === "in a batch");
      });

      test("a result that is gone, or was never kept, is left out; a message that is handled anew has its new one", async () => {
        const { inbox } = counting();
        const message = placed();
        await together(inbox, [message, placed()]);
        await fixture.database.execute("delete from waybill_inbox_result", []);
        expect(await together(inbox, [message])).toEqual([{ kind: "done", as: "duplicate" }]);
        const later = placed();
        await together(inbox, [later]);
        // As after a truncate: nothing of the results stands in its way.
        await fixture.database.execute("delete from waybill_inbox", []);
        expect(await together(inbox, [later])).toMatchObject([{ kind: "done", as: "handled", result: { number: 4 } }]);
        expect(await together(inbox, [later])).toMatchObject([{ kind: "done", as: "duplicate", result: { number: 4 } }]);
      });

      test("a result that is too large or no JSON is a failed attempt, and nothing is kept", async () => {
        const { inbox } = fixture.inbox({ ...options, resultBytesMax: 10, attemptsMax: 1, keyPolicy: "skip" });
        inbox.on(
          shop.orderPlaced,
          async ({ id }, tx) => {
            await fixture.effect(tx, id);
            return id === "large" ? "x".repeat(9) : id === "odd" ? { at: 1n } : "x".repeat(8);
          },
          { keepResult: true },
        );
        const processed = await together(inbox, [placed({ id: "large" }), placed({ id: "odd" }), placed({ id: "fits" })]);
        expect(processed.map((one) => one.kind === "done" && one.as)).toEqual(["deadLettered", "deadLettered", "handled"]);
        expect(await fixture.letters()).toEqual([
          "large dead attemptsExhausted:WAYBILL_RESULT_TOO_LARGE",
          "odd dead attemptsExhausted:WAYBILL_PAYLOAD_NOT_JSON",
        ]);
        expect([await fixture.effects(), await fixture.count("inbox_result")]).toEqual([["fits"], 1]);
      });
    });

    test("a result of other content under the same id is told to nobody", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, () => "secret", { keepResult: true });
      const message = placed();
      await inbox.process({ message, redelivered: false });
      await fixture.database.execute("update waybill_inbox_result set fingerprint = 'another' where result is not null", []);
      expect(await inbox.process({ message, redelivered: true })).toEqual({ kind: "done", as: "duplicate" });
    });

    test("a handler that takes many cannot keep what it returns", () => {
      const { inbox } = fixture.inbox();
      expect(() => inbox.onBatch(shop.orderPlaced, () => undefined, { keepResult: true })).toThrow("keepResult");
      expect(() => fixture.inbox({ resultBytesMax: 2_000_000 })).toThrow("resultBytesMax");
    });

    describe("of requests", () => {
      const request = { request: "POST /orders {}" };
      /** Writes an effect and answers how many there are. */
      const order =
        (id: string) =>
        async (tx: Tx): Promise<{ readonly orders: number }> => {
          await fixture.effect(tx, id);
          const rows = await tx.query("select 1 as one from effect", []);
          return { orders: rows.length };
        };

      test("the first answer is that of every repeat, in this process and in others, and of the same id of a message nothing is known", async () => {
        const { inbox, events } = fixture.inbox();
        const { inbox: other } = fixture.inbox({ database: elsewhere });
        expect(await inbox.once("r1", request, order("r1"))).toEqual({ result: { orders: 1 }, isRepeated: false });
        expect(await inbox.once("r1", request, order("never"))).toEqual({ result: { orders: 1 }, isRepeated: true });
        expect(await other.once("r1", request, order("never"))).toEqual({ result: { orders: 1 }, isRepeated: true });
        expect(await inbox.once("r2", request, () => undefined)).toEqual({ result: null, isRepeated: false });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        expect(await inbox.process({ message: placed({ id: "r1" }), redelivered: false })).toEqual({ kind: "done", as: "handled" });
        const { inbox: consumer } = fixture.inbox({ consumer: "other" });
        expect(await consumer.once("r1", request, order("elsewhere"))).toMatchObject({ isRepeated: false });
        expect(names(events).slice(0, 6)).toEqual([
          "inbox.requestBegun",
          "inbox.requestClaimed",
          "inbox.resultKept",
          "inbox.requestCommitted",
          "inbox.requestBegun",
          "inbox.requestRepeated",
        ]);
      });

      test("what throws keeps nothing, and the next one works", async () => {
        const { inbox } = fixture.inbox({ resultBytesMax: 20 });
        const fail = new TypeError("no");
        const work = async (tx: Tx): Promise<void> => {
          await fixture.effect(tx, "r1");
          throw fail;
        };
        expect(await codeOf(inbox.once("r1", request, work))).toBe(fail);
        expect(await codeOf(inbox.once("r1", request, () => "x".repeat(50)))).toBe("WAYBILL_RESULT_TOO_LARGE");
        expect(await codeOf(inbox.once("r1", request, () => 1n))).toBe("WAYBILL_PAYLOAD_NOT_JSON");
        expect([await fixture.effects(), await fixture.count("inbox_result")]).toEqual([[], 0]);
        expect(await inbox.once("r1", request, order("r1"))).toEqual({ result: { orders: 1 }, isRepeated: false });
      });

      test("another request under the same id is refused, whatever its bytes, and one without a usable id, too", async () => {
        const { inbox } = fixture.inbox();
        await inbox.once("r1", request, order("r1"));
        expect(await codeOf(inbox.once("r1", { request: "POST /orders {1}" }, order("r1")))).toBe("WAYBILL_MESSAGE_ID_REPEATED");
        expect(await inbox.once("r1", { request: Buffer.from(request.request) }, order("r1"))).toMatchObject({ isRepeated: true });
        for (const id of ["", "a\u0000", "x".repeat(256), 7 as unknown as string]) {
          expect(await codeOf(inbox.once(id, request, order("r1")))).toBe("WAYBILL_MESSAGE_INVALID");
        }
        expect(await fixture.effects()).toEqual(["r1"]);
      });

      test.each([
        { ends: "commits", isRepeated: true },
        { ends: "fails", isRepeated: false },
      ])(
        "one that comes while the first is handled waits for it, and no longer than it says: the first $ends",
        async ({ ends, isRepeated }) => {
          const { inbox } = fixture.inbox();
          const { inbox: other, events } = fixture.inbox({ database: elsewhere });
          const hold = gate();
          let isIn = false;
          const first = codeOf(
            inbox.once("r1", request, async (tx) => {
              const answer = await order("first")(tx);
              isIn = true;
              await hold.promise;
              if (ends === "fails") throw new Error("no");
              return answer;
            }),
          );
          await waitUntil(() => isIn, { what: "the first is at work" });
          expect(await codeOf(other.once("r1", { ...request, waitMs: 0 }, order("second")))).toBe("WAYBILL_IN_PROGRESS");
          expect(await codeOf(other.once("r1", { ...request, waitMs: 300 }, order("second")))).toBe("WAYBILL_IN_PROGRESS");
          events.length = 0;
          const second = other.once("r1", { ...request, waitMs: 60_000 }, order("second"));
          await waitUntil(() => events.length > 1, { what: "the second has looked twice" });
          hold.open();
          await first;
          expect(await second).toEqual({ result: { orders: 1 }, isRepeated });
          expect(await fixture.effects()).toEqual([isRepeated ? "first" : "second"]);
          expect(await fixture.openTransactions()).toBe(0);
        },
      );

      test("of many that are made in the same moment one works, and all get its answer", async () => {
        const { inbox } = fixture.inbox();
        const { inbox: other } = fixture.inbox({ database: elsewhere });
        for (let round = 0; round < 10; round++) {
          const id = `round ${round}`;
          const asks = Array.from({ length: 8 }, (_, place) =>
            (place % 2 === 0 ? inbox : other).once(id, { ...request, waitMs: 60_000 }, async (tx) => {
              await fixture.effect(tx, id);
              return place;
            }),
          );
          const answers: readonly Answered<number>[] = await Promise.all(asks);
          expect(new Set(answers.map(({ result }) => result)).size).toBe(1);
          expect(answers.filter(({ isRepeated }) => !isRepeated)).toHaveLength(1);
        }
        expect(await fixture.effects()).toHaveLength(10);
      });

      test("a work that passes its deadline is cut off, and keeps nothing", async () => {
        const { inbox } = fixture.inbox({ handlerDeadlineMs: 200 });
        let isAborted = false;
        const work = async (tx: Tx, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
          await fixture.effect(tx, "r1");
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          isAborted = true;
        };
        expect(await codeOf(inbox.once("r1", request, work))).toBe("WAYBILL_DEADLINE");
        expect([isAborted, await fixture.effects(), await fixture.count("inbox_result")]).toEqual([true, [], 0]);
        await inbox.close();
        expect(await codeOf(inbox.once("r2", request, order("r2")))).toBe("WAYBILL_DEADLINE");
      });

      test.each([
        { at: "afterRequest", what: "just sent" },
        { at: "beforeReply", what: "done, its answer on the way" },
      ] as const)(
        "a COMMIT that is cut when it is $what is asked about; whoever asks again has one effect and one answer",
        async ({ at }) => {
          const database = openDatabase({ url: proxy.url(fixture.url), connections: 2 });
          const { inbox } = fixture.inbox({ database });
          await inbox.once("warm", request, () => undefined);
          for (let round = 0; round < 5; round++) {
            const id = `r${round}`;
            const fault = proxy.inject({ kind: "cut", at, pattern: fixture.commit });
            const first = await codeOf(inbox.once(id, request, order(id)));
            expect(fault.fired).toBe(1);
            fault.lift();
            const answer = { result: { orders: round + 1 } };
            if (first !== "WAYBILL_OUTCOME_UNKNOWN") expect(first).toEqual({ ...answer, isRepeated: false });
            expect(await inbox.once(id, { ...request, waitMs: 60_000 }, order(id))).toMatchObject(answer);
          }
          expect(await fixture.effects()).toEqual(["r0", "r1", "r2", "r3", "r4"]);
          await database.close();
        },
      );

      test("a COMMIT that is done and not answered is unknown, not failed, if the database is out of reach then", async () => {
        const database = openDatabase({ url: proxy.url(fixture.url), connections: 2, connectDeadlineMs: 500 });
        const { inbox } = fixture.inbox({ database, handlerDeadlineMs: 3_000 });
        await inbox.once("warm", request, () => undefined);
        const faults = [proxy.inject({ kind: "cut", at: "beforeReply", pattern: fixture.commit }), proxy.inject({ kind: "refuse" })];
        expect(await codeOf(inbox.once("r1", request, order("r1")))).toBe("WAYBILL_OUTCOME_UNKNOWN");
        for (const fault of faults) fault.lift();
        expect(await inbox.once("r1", { ...request, waitMs: 60_000 }, order("r1"))).toEqual({ result: { orders: 1 }, isRepeated: true });
        expect(await fixture.effects()).toEqual(["r1"]);
        await database.close();
      });

      test("however many wait for one request in a process, one of them asks the database", async () => {
        const { inbox } = fixture.inbox();
        const { inbox: other, events } = fixture.inbox({ database: elsewhere });
        const hold = gate();
        let isIn = false;
        const first = inbox.once("r1", request, async () => {
          isIn = true;
          await hold.promise;
          return 1;
        });
        await waitUntil(() => isIn, { what: "the first is at work" });
        let most = 0;
        const others = Array.from({ length: 20 }, () => other.once("r1", { ...request, waitMs: 60_000 }, () => 2));
        await waitUntil(
          async () => {
            most = Math.max(most, await fixture.openTransactions());
            return events.length > 2;
          },
          { what: "they have looked three times" },
        );
        expect(most).toBeLessThanOrEqual(2);
        hold.open();
        expect(await first).toEqual({ result: 1, isRepeated: false });
        for (const answered of await Promise.all(others)) expect(answered).toEqual({ result: 1, isRepeated: true });
      });

      test.each([
        { request: "", waitMs: Number.NaN },
        { request: "", waitMs: -1 },
        { request: "", waitMs: Number.POSITIVE_INFINITY },
        { request: "", waitMs: "5000" },
        { request: undefined },
        { request: { sku: "a" } },
      ])("an option that cannot be met is refused: %j", async (options) => {
        const { inbox, events } = fixture.inbox();
        expect(await codeOf(inbox.once("r1", options as unknown as { request: string }, order("r1")))).toBe("WAYBILL_CONFIG_INVALID");
        expect(events).toEqual([]);
      });

      test("results are removed after a retention of their own, and only theirs", async () => {
        const { inbox } = fixture.inbox({ resultRetentionMs: 3_600_000 });
        inbox.on(shop.orderPlaced, () => 1, { keepResult: true });
        await inbox.process({ message: placed({ id: "m" }), redelivered: false });
        await inbox.once("old", request, order("old"));
        await inbox.once("new", request, order("new"));
        const ago = server.dialect === "postgres" ? "clock_timestamp() - interval '2 hours'" : "utc_timestamp(6) - interval 2 hour";
        await fixture.database.execute(`update waybill_inbox_result set kept_at = ${ago} where kept_at is not null`, []);
        await inbox.once("newest", request, () => undefined);
        expect(await inbox.removeHandled()).toBe(3);
        expect([await fixture.count("inbox_result"), await fixture.handled()]).toEqual([1, ["m"]]);
        expect(await inbox.once("newest", request, order("never"))).toMatchObject({ isRepeated: true });
      });
    });
  }),
);
