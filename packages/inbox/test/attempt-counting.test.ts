import { redriveDeadLetters } from "@waybill/dead-letter";
import { type Database, openDatabase } from "@waybill/sql";
import { forEachDatabase, startFaultProxy } from "@waybill/testing";
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

    interface Gate {
      readonly promise: Promise<void>;
      readonly resolve: () => void;
    }

    function gate(): Gate {
      let resolve: () => void = () => undefined;
      const promise = new Promise<void>((open) => {
        resolve = open;
      });
      return { promise, resolve };
    }

    const redriveAll = () => redriveDeadLetters(fixture.database, fixture.space, {}, { who: "operator", why: null });

    test("COMMITs that go unanswered do not make a message poison", async () => {
      const { hostname, port } = new URL(fixture.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const database = openDatabase({ url: proxy.url(fixture.url), connections: 2 });
      const { inbox } = fixture.inbox({ database, poisonAttempts: 1 });
      let isCut = true;
      // Not before the handler runs: the start is counted by a COMMIT of its own.
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (isCut) proxy.inject({ kind: "cut", at: "beforeRequest", pattern: fixture.commit });
      });
      const message = placed();
      for (let round = 0; round < 3; round++) {
        expect(await inbox.process({ message, redelivered: true })).toMatchObject({ kind: "again", as: "unknown" });
        proxy.heal();
      }
      isCut = false;
      expect(await inbox.process({ message, redelivered: true })).toEqual({ kind: "done", as: "handled" });
      expect(await fixture.effects()).toEqual([message.id]);
      await database.close();
      await proxy.stop();
    });

    test("redriven messages without key and sequence are attempted once each in a pass, and count no start twice", async () => {
      const { inbox } = fixture.inbox({ backoff: { firstMs: 60_000, maxMs: 60_000 } });
      let isRejected = true;
      const attempted: string[] = [];
      inbox.on(shop.orderPlaced, ({ id }, tx) => {
        if (isRejected) reject("not yet");
        attempted.push(id);
        if (id === "m0") throw new Error("again");
        return fixture.effect(tx, id);
      });
      const ids = ["m0", "m1", "m2", "m3", "m4", "m5"];
      for (const id of ids) await inbox.process({ message: placed({ id, key: null, sequence: null }), redelivered: false });
      await redriveAll();
      isRejected = false;
      await inbox.redrive();
      expect(attempted.sort()).toEqual(ids);
      expect([...(await fixture.effects())].sort()).toEqual(ids.slice(1));
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 1")).toBe(1);
      expect(await fixture.letters()).toContain("m0 released not yet");
    });

    test("a process that finds a dead letter in other hands leaves no start behind", async () => {
      const waiting = gate();
      const handling = gate();
      const left = gate();
      const { database } = fixture;
      /** Begins its unit when the other one is in its handler. */
      const later: Database = {
        ...database,
        async unitOfWork(work, options) {
          if (options.operation === "inbox") {
            waiting.resolve();
            await handling.promise;
          }
          return database.unitOfWork(work, options);
        },
      };
      const { inbox: one } = fixture.inbox();
      const { inbox: other } = fixture.inbox({ database: later });
      let isRejected = true;
      one.on(shop.orderPlaced, async () => {
        if (isRejected) reject("not yet");
        handling.resolve();
        await left.promise;
        throw new Error("again");
      });
      other.on(shop.orderPlaced, () => reject("never run"));
      const message = placed({ key: null });
      await one.process({ message, redelivered: false });
      await redriveAll();
      isRejected = false;

      const beaten = other.redrive();
      await waiting.promise;
      const first = one.redrive();
      expect(await beaten).toBe(0);
      left.resolve();
      expect(await first).toBe(0);
      expect(await fixture.letters()).toEqual([`${message.id} released not yet`]);
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 1")).toBe(1);
    });

    test("a reason whose cut halves a character is kept", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, () => reject(`${"x".repeat(199)}😀`));
      const message = placed();
      expect(await inbox.process({ message, redelivered: false })).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead ${"x".repeat(199)}\ufffd`]);
    });
  }),
);
