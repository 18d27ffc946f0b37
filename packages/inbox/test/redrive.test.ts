import { redriveDeadLetters } from "@waybill/dead-letter";
import type { Database } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reject } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const redriveAll = () => redriveDeadLetters(fixture.database, fixture.space, { state: "dead" }, { who: "ann", why: null });

    /** Something a test lets happen. */
    function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
      let open: () => void = () => undefined;
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      return { promise, open };
    }

    /** Makes dead letters of these, in their order, and releases them. */
    async function release(...messages: readonly ReturnType<typeof placed>[]): Promise<void> {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, () => reject("closed"));
      for (const message of messages) await inbox.process({ message, redelivered: false });
      await redriveAll();
    }

    test("released messages without key that fail again and again keep no others waiting, of their topic or another", async () => {
      const failing = Array.from({ length: 130 }, (_, place) => placed({ id: `a${place}`, key: null, topic: "ta" }));
      const good = [placed({ id: "z", key: null, topic: "ta" }), placed({ id: "b", key: null, topic: "tb" })];
      await release(...failing, ...good);
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, ({ id }, tx) => {
        if (id.startsWith("a")) throw new Error("not yet");
        return fixture.effect(tx, id);
      });
      expect(await inbox.redrive()).toBe(2);
      expect([...(await fixture.effects())].sort()).toEqual(["b", "z"]);
    });

    test("more lanes that fail than are looked for at once keep no others waiting", async () => {
      const failing = Array.from({ length: 110 }, (_, place) => placed({ id: `a${place}`, key: `a${place}` }));
      await release(...failing, placed({ id: "last", key: "z" }), placed({ id: "keyless", key: null }));
      const { inbox } = fixture.inbox({ backoff: { firstMs: 1, maxMs: 1 } });
      inbox.on(shop.orderPlaced, ({ id }, tx) => {
        if (id.startsWith("a")) throw new Error("not yet");
        return fixture.effect(tx, id);
      });
      expect(await inbox.redrive()).toBe(2);
      expect(await fixture.effects()).toHaveLength(2);
    });

    test("a lane that cannot be taken backs off, is reported, and keeps no others waiting", async () => {
      await release(...["a", "b", "c", "d", "e", "f"].map((key) => placed({ id: key, key })));
      let takes = 0;
      const { database } = fixture;
      const failing: Database = {
        ...database,
        unitOfWork(work, options) {
          if (options.operation !== "redrive") return database.unitOfWork(work, options);
          takes += 1;
          if (takes > 1) return database.unitOfWork(work, options);
          return database.unitOfWork(async (tx) => {
            await tx.query("select * from nowhere", []);
            return work(tx);
          }, options);
        },
      };
      const { inbox, events } = fixture.inbox({ database: failing });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      expect(await inbox.redrive()).toBe(5);
      expect(events.filter(({ name }) => name === "inbox.upkeepFailed")).toMatchObject([
        { code: server.dialect === "postgres" ? "SQLSTATE_42P01" : "MYSQL_1146" },
      ]);
      await waitUntil(async () => (await inbox.redrive()) === 1, { what: "the lane has been taken" });
      expect([...(await fixture.effects())].sort()).toEqual(["a", "b", "c", "d", "e", "f"]);
    });

    test("a slow redriven handler stops neither redriving, deliveries nor retention, in its process and in others", async () => {
      await release(placed({ id: "slow", key: "slow" }), placed({ id: "behind", key: "slow" }));
      const entered = gate();
      const left = gate();
      const stop = new AbortController();
      const made = [fixture.inbox(), fixture.inbox()];
      for (const { inbox } of made) {
        inbox.on(shop.orderPlaced, async ({ id }, tx) => {
          await fixture.effect(tx, id);
          if (id !== "slow") return;
          entered.open();
          await left.promise;
        });
      }
      const [one, other] = made as [(typeof made)[number], (typeof made)[number]];
      const upkeeps = [one.inbox.upkeep({ signal: stop.signal })];
      await entered.promise;
      upkeeps.push(other.inbox.upkeep({ signal: stop.signal }));
      const running = gate();
      const mayEnd = gate();
      other.inbox.on(shop.orderPaid, async () => {
        running.open();
        await mayEnd.promise;
      });
      const beside = other.inbox.process({ message: placed({ type: shop.orderPaid({ orderId: "x" }).type }), redelivered: false });
      await running.promise;
      for (const { events } of made) {
        await waitUntil(() => events.some(({ name }) => name === "inbox.retentionRemoved"), { what: "old rows have been removed" });
      }
      await waitUntil(() => other.events.some((event) => event.name === "inbox.redriving"), { what: "the other has looked at the lane" });
      await release(placed({ id: "fast", key: "fast" }));
      await waitUntil(async () => (await fixture.effects()).includes("fast"), { what: "the other lane has run" });
      // The other process found the lane in good hands: it has neither gone alone for its sake nor counted a start.
      expect(await other.inbox.process({ message: placed({ id: "new", key: "new" }), redelivered: false })).toMatchObject({
        as: "handled",
      });
      expect(await fixture.count("inbox_attempt", "message_id = 'slow' and started = 1")).toBe(1);
      mayEnd.open();
      await beside;
      left.open();
      await waitUntil(async () => (await fixture.effects()).includes("behind"), { what: "the slow lane has run" });
      stop.abort();
      await Promise.all(upkeeps);
      expect([...(await fixture.effects())].sort()).toEqual(["behind", "fast", "new", "slow"]);
      expect([...one.events, ...other.events].filter(({ name }) => name === "inbox.upkeepFailed")).toEqual([]);
    });

    test("a lane into which messages go on coming lets the others have their turn", async () => {
      await release(placed({ id: "hot0", key: "hot" }));
      const { inbox } = fixture.inbox();
      let came = 0;
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        came += 1;
        await fixture.inbox().inbox.process({ message: placed({ id: `hot${came}`, key: "hot" }), redelivered: false });
      });
      expect(await inbox.redrive()).toBe(1);
      expect(await fixture.letters()).toEqual(["hot0 done closed", "hot1 held null"]);
    });
  }),
);
