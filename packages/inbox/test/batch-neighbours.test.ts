/** What messages of one batch must not do to each other, and what a handler may do in a batch as alone. */
import type { Delivery, ReceivedMessage, Source } from "@waybill/core";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Inbox, InboxOptions, Processed } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    const isPg = server.dialect === "postgres";
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      if (isPg) {
        await fixture.database.query("create sequence tries", []);
        await fixture.database.query(
          `create function fail_first() returns int language plpgsql as $$
           begin if nextval('tries') = 1 then raise exception 'x' using errcode = '40001'; end if; return 1; end $$`,
          [],
        );
      } else {
        await fixture.database.query("create procedure close_day(in n int) begin commit; end", []);
      }
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());
    const batching = (options: Partial<InboxOptions> = {}) => fixture.inbox({ concurrency: 1, prefetch: 0, ...options });
    const together = (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> =>
      Promise.all(messages.map((message) => inbox.process({ message, redelivered: false })));
    const handled = { kind: "done", as: "handled" };
    const hang = () => new Promise<never>(() => undefined);

    test.runIf(isPg)("a handler that used up its payload sees it whole when the unit is repeated", async () => {
      const { inbox } = batching();
      inbox.on(shop.orderPlaced, async ({ payload }, tx) => {
        const lines = (payload as unknown as { lines: string[] }).lines;
        for (let line = lines.shift(); line !== undefined; line = lines.shift()) await fixture.effect(tx, line);
        await tx.query("select fail_first()", []);
      });
      const of = (key: string) => placed({ key, payload: Buffer.from(JSON.stringify({ orderId: key, lines: [`${key}1`, `${key}2`] })) });
      expect(await together(inbox, [of("a"), of("b")])).toEqual([handled, handled]);
      expect([...(await fixture.effects())].sort()).toEqual(["a1", "a2", "b1", "b2"]);
    });

    test("an earlier message of a key is not held behind a later one that passed its deadline in their batch", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 300, attemptsMax: 1 });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "2") await hang();
      });
      const processed = await together(inbox, [placed({ id: "1", key: "a" }), placed({ id: "2", key: "a" })]);
      expect([processed[0], await fixture.effects(), await fixture.letters()]).toMatchObject([
        handled,
        ["1"],
        [expect.stringMatching(/^2 dead/)],
      ]);
    });

    test("an earlier message of a key does not come again behind a later one that passed its deadline", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 300, backoff: { firstMs: 60_000, maxMs: 60_000 } });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "2") await hang();
      });
      let processed: readonly Processed[] = [];
      const batch: Delivery[] = ["1", "2"].map((id) => ({ message: placed({ id, key: "a" }), redelivered: false }));
      const source = {
        consume: async (handle: (batch: readonly Delivery[]) => Promise<readonly Processed[]>) => {
          processed = await handle(batch);
        },
      } as unknown as Source;
      await inbox.run(source, { signal: new AbortController().signal });
      expect(processed).toMatchObject([handled, { kind: "again", as: "failed" }]);
    });

    test("a handler cannot roll back what an earlier message of its batch did", async () => {
      const { inbox } = batching();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        if (id === "1") await tx.query("savepoint s", []);
        await fixture.effect(tx, id);
        if (id === "2") await tx.query("rollback to savepoint s", []);
      });
      const processed = await together(inbox, [placed({ id: "1", key: "a" }), placed({ id: "2", key: "b" })]);
      expect([processed[0], await fixture.effects()]).toEqual([handled, ["1"]]);
    });

    test("neighbours of one whose statement overran the deadline are handled", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 300 });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "slow") await tx.query(fixture.sleep(12), []);
      });
      const processed = await together(inbox, [placed({ key: "a" }), placed({ id: "slow", key: "b" }), placed({ key: "c" })]);
      expect(processed).toMatchObject([handled, { kind: "again", as: "failed" }, handled]);
    });

    test("one message that another process is handling keeps no neighbour of another key", async () => {
      const { inbox } = batching({ concurrency: 8 });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const { inbox: other } = batching();
      let open: () => void = () => undefined;
      let isIn = false;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      other.on(shop.orderPlaced, async () => {
        isIn = true;
        await gate;
      });
      const messages = Array.from({ length: 40 }, (_, place) => placed({ id: `m${place}`, key: `k${place}` }));
      const elsewhere = other.process({ message: messages[20] as ReceivedMessage, redelivered: false });
      await waitUntil(() => isIn, { what: "the other has it" });
      const all = together(inbox, messages);
      let done: readonly string[] = [];
      await waitUntil(
        async () => {
          done = await fixture.effects();
          return done.length === 39;
        },
        { what: "39 handled", deadlineMs: 20_000 },
      ).catch(() => undefined);
      open();
      await elsewhere;
      await all;
      expect(done).toHaveLength(39);
    });

    test("a statement that an earlier handler did not wait for does not count against the next message", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 400, attemptsMax: 1 });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        if (id === "1") void tx.query(fixture.sleep(1.5), []).catch(() => undefined);
        else await fixture.effect(tx, id);
      });
      const processed = await together(inbox, [placed({ id: "1", key: "a" }), placed({ id: "2", key: "b" })]);
      expect([processed[1], await fixture.letters()]).toEqual([handled, []]);
    });

    test("a handler whose statement hides a COMMIT behind comments loses no neighbour", async () => {
      const { inbox } = batching();
      const ran: string[] = [];
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        ran.push(id);
        await fixture.effect(tx, id);
        const text = isPg ? "/* was: /* x */ select 1 */ commit" : "/* day */ call close_day /* n */ (1)";
        if (id === "1") await tx.query(text, []).catch(() => undefined);
      });
      const processed = await together(inbox, [placed({ id: "1", key: "a" }), placed({ id: "2", key: "b" })]);
      const effects = await fixture.effects();
      expect([processed[1], ran.includes("2"), effects.includes("2")]).toEqual([handled, true, true]);
    });

    test("a statement that nobody waits for and that is refused in a batch does not end the process", async () => {
      const { inbox } = batching();
      const unhandled: unknown[] = [];
      const forgotten: unknown[] = [];
      const listeners = process.listeners("unhandledRejection");
      process.removeAllListeners("unhandledRejection");
      process.on("unhandledRejection", (reason) => unhandled.push(reason));
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        forgotten.push(tx.query(isPg ? "set local statement_timeout = 5000" : "set @x = 1", []));
        await fixture.effect(tx, id);
      });
      const processed = await together(inbox, [placed({ id: "1", key: "a" }), placed({ id: "2", key: "b" })]);
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) process.on("unhandledRejection", listener);
      expect([processed, unhandled.length]).toEqual([[handled, handled], 0]);
    });

    // On MySQL and MariaDB a statement whose client has gone waits on, and with it the rows of its batch: unless it is killed.
    test("neighbours of one that waits for a row past its deadline are handled", async () => {
      const { inbox } = batching({ handlerDeadlineMs: 300 });
      await fixture.database.query("create table if not exists stock (sku int primary key, sold int not null default 0)", []);
      await fixture.database.execute("delete from stock", []);
      await fixture.database.execute("insert into stock (sku) values (1)", []);
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let isIn = false;
      const holder = fixture.database.unitOfWork(
        async (tx) => {
          await tx.query("update stock set sold = 1 where sku = 1", []);
          isIn = true;
          await gate;
        },
        { operation: "hold", deadlineMs: 40_000 },
      );
      await waitUntil(() => isIn, { what: "held" });
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id === "slow") await tx.query("update stock set sold = 2 where sku = 1", []);
      });
      const processed = await together(inbox, [placed({ key: "a" }), placed({ id: "slow", key: "b" }), placed({ key: "c" })]);
      open();
      await holder;
      expect(processed).toMatchObject([handled, { kind: "again", as: "failed" }, handled]);
    });

    test("slow handlers claim about what they handle", async () => {
      const { inbox, events } = batching();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await tx.query(fixture.sleep(0.26), []);
        await fixture.effect(tx, id);
      });
      await together(
        inbox,
        Array.from({ length: 20 }, (_, place) => placed({ key: `k${place}` })),
      );
      const claims = events.reduce((sum, event) => sum + (event.name === "inbox.batchBegun" ? event.messages : 0), 0);
      expect(claims).toBeLessThanOrEqual(60);
    });

    test("a source's call with more messages of one key than may wait makes progress", async () => {
      const { inbox } = batching({ concurrency: 8 });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const batch: Delivery[] = Array.from({ length: 1_001 }, () => ({ message: placed({ key: "a" }), redelivered: false }));
      let processed: readonly Processed[] = [];
      const source = {
        consume: async (handle: (batch: readonly Delivery[]) => Promise<readonly Processed[]>) => {
          processed = await handle(batch);
        },
      } as unknown as Source;
      await inbox.run(source, { signal: new AbortController().signal });
      expect(processed.filter(({ kind }) => kind === "done").length).toBeGreaterThan(0);
    });
  }),
);
