import type { WaybillEvent } from "@waybill/core";
import { createDeadLetters } from "@waybill/dead-letter";
import { type Database, openDatabase } from "@waybill/sql";
import { forEachMysql, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createInboxStore } from "../src/create-inbox-store.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachMysql((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    let database: Database;
    const events: WaybillEvent[] = [];
    const repeatedFor = (errno: number) => events.some((event) => event.name === "sql.unitRepeated" && event.errno === errno);
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      database = openDatabase({ url: fixture.url, connections: 6, onEvent: (event) => events.push(event) });
    });
    beforeEach(async () => {
      events.length = 0;
      await fixture.clear();
    });
    afterAll(async () => {
      await database.close();
      await fixture.close();
    });

    function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
      let open: () => void = () => undefined;
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      return { promise, open };
    }

    test("a claim whose wait for another's row runs out is made again with its whole unit, and uses up no attempt", async () => {
      const entered = gate();
      const left = gate();
      const impatient: Database = {
        ...database,
        unitOfWork: (work, options) =>
          database.unitOfWork(async (tx) => {
            await tx.query("set session innodb_lock_wait_timeout = 1", []);
            return work(tx);
          }, options),
      };
      const { inbox: one } = fixture.inbox({ prefetch: 0 });
      const { inbox: other, events: told } = fixture.inbox({ prefetch: 0, database: impatient });
      one.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        entered.open();
        await left.promise;
      });
      other.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const message = placed({ key: null });
      const first = one.process({ message, redelivered: false });
      await entered.promise;
      const second = other.process({ message, redelivered: false });
      await waitUntil(() => repeatedFor(1205), { what: "the wait has run out", deadlineMs: 30_000 });
      left.open();
      expect(await first).toEqual({ kind: "done", as: "handled" });
      expect(await second).toEqual({ kind: "done", as: "duplicate" });
      expect(told.map(({ name }) => name)).not.toContain("inbox.handlerFailed");
      expect([await fixture.effects(), await fixture.count("inbox_attempt")]).toEqual([[message.id], 0]);
    });

    test("handlers of two lanes that deadlock are run again with their whole units, dedupe row included", async () => {
      await fixture.database.execute("create table stock (sku int primary key, sold int not null default 0)", []);
      await fixture.database.execute("insert into stock (sku) values (1), (2)", []);
      const { inbox, events: told } = fixture.inbox({ prefetch: 0, database });
      const both = gate();
      let arrived = 0;
      inbox.on(shop.orderPlaced, async ({ id, key }, tx) => {
        await fixture.effect(tx, id);
        const skus = key === "up" ? [1, 2] : [2, 1];
        for (const sku of skus) {
          await tx.query("update stock set sold = sold + 1 where sku = ?", [sku]);
          arrived += 1;
          if (arrived === 2) both.open();
          await both.promise;
        }
      });
      const messages = ["up", "down"].map((key) => placed({ key }));
      const processed = await Promise.all(messages.map((message) => inbox.process({ message, redelivered: false })));
      expect(processed).toEqual([
        { kind: "done", as: "handled" },
        { kind: "done", as: "handled" },
      ]);
      expect(repeatedFor(1213)).toBe(true);
      expect(told.map(({ name }) => name)).not.toContain("inbox.handlerFailed");
      expect([...(await fixture.effects())].sort()).toEqual(messages.map(({ id }) => id).sort());
      expect(await fixture.handled()).toHaveLength(2);
      expect(await fixture.count("inbox_attempt")).toBe(0);
      await fixture.database.execute("drop table stock", []);
    });

    test("of many processes that wait for a message whose handler then fails one handles it, and none uses up an attempt", async () => {
      const entered = gate();
      const left = gate();
      const { inbox: failing } = fixture.inbox({ prefetch: 0 });
      failing.on(shop.orderPlaced, async () => {
        entered.open();
        await left.promise;
        throw new Error("not yet");
      });
      const message = placed({ key: null });
      const first = failing.process({ message, redelivered: false });
      await entered.promise;
      const waiting = Array.from({ length: 5 }, () => {
        const { inbox } = fixture.inbox({ prefetch: 0, database });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        return inbox.process({ message, redelivered: false });
      });
      await waitUntil(async () => (await fixture.openTransactions()) === 6, {
        what: "all are at the row",
        intervalMs: 150,
        deadlineMs: 30_000,
      });
      left.open();
      expect(await first).toMatchObject({ kind: "again", as: "failed" });
      const ended = (await Promise.all(waiting)).map(({ as }) => as).sort();
      expect(ended).toEqual(["duplicate", "duplicate", "duplicate", "duplicate", "handled"]);
      expect(await fixture.effects()).toEqual([message.id]);
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 1")).toBe(1);
    });

    test("a claim, a count and a step of retention read a few rows, however many there are", async () => {
      const named = Array.from({ length: 3_000 }, (_, place) => `old ${String(place).padStart(4, "0")}`);
      await fixture.remember("c", named, 48);
      await fixture.remember("other", named, 48);
      const store = createInboxStore({ space: fixture.space, consumer: "c", deadLetters: createDeadLetters(fixture.space) });
      const connection = await database.connect({ purpose: "counting" });
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
      const claim = {
        messageId: "old 1500",
        fingerprint: "f",
        lane: { topic: "orders", key: "k" },
        waitsBehindDead: true,
        createdAtMs: null,
        retentionMs: 1_000,
      };
      expect(await readsOf(() => connection.unitOfWork((tx) => store.claim(tx, claim), { operation: "test" }))).toBeLessThanOrEqual(10);
      const claims = Array.from({ length: 10 }, (_, place) => ({ ...claim, messageId: `old 15${10 + place}` }));
      expect(await readsOf(() => connection.unitOfWork((tx) => store.claimAll(tx, claims), { operation: "test" }))).toBeLessThanOrEqual(
        120,
      );
      expect(await readsOf(() => store.startAttempt(connection, "new"))).toBeLessThanOrEqual(10);
      expect(await readsOf(() => store.removeHandled(connection, 3_600_000, 10))).toBeLessThanOrEqual(80);
      expect(await readsOf(() => store.removeAttempts(connection, 0, 10))).toBeLessThanOrEqual(80);
      await connection.close();
    });
  }),
);
