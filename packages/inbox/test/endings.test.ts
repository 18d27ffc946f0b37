import type { ReceivedMessage, WaybillEvent } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { forEachDatabase, memorySource, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hold, reject, retryAfter } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      await fixture.database.query("create table told (message_id varchar(255) not null, reason varchar(255) not null)", []);
    });
    beforeEach(async () => {
      await fixture.clear();
      await fixture.database.execute("delete from told", []);
    });
    afterAll(() => fixture.close());

    const delivery = (message: ReceivedMessage, redelivered = false) => ({ message, redelivered });
    const count = (events: readonly WaybillEvent[], name: WaybillEvent["name"]): number =>
      events.filter((event) => event.name === name).length;

    test("a handler that asks for a message later gets it later, and uses up attempts by its policy", async () => {
      const { inbox } = fixture.inbox({ retryPolicies: { twice: { firstMs: 1, maxMs: 1, attemptsMax: 2 } } });
      inbox.on(shop.orderPlaced, () => retryAfter(4_321), { retry: "twice" });
      const message = placed();
      expect(await inbox.process(delivery(message))).toEqual({ kind: "again", afterMs: 4_321, as: "failed" });
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead attemptsExhausted:WAYBILL_RETRY_AFTER`]);
    });

    test("each type has its own policy; until success there is no last attempt", async () => {
      const { inbox } = fixture.inbox({ attemptsMax: 1 });
      let runs = 0;
      const fail = (): never => {
        runs += 1;
        throw new Error("no");
      };
      inbox.on(shop.orderPlaced, fail);
      inbox.on(shop.orderPaid, fail, { retry: "untilSuccess" });
      const [usual, endless] = [placed(), placed({ type: shop.orderPaid.type, key: "other" })];
      expect(await inbox.process(delivery(usual))).toEqual({ kind: "done", as: "deadLettered" });
      for (let attempt = 0; attempt < 10; attempt++) {
        expect(await inbox.process(delivery(endless, attempt > 0))).toMatchObject({ kind: "again", as: "failed" });
      }
      expect([runs, await fixture.count("inbox_attempt", "started = 10 and failed = 10")]).toEqual([11, 1]);
    });

    test("a policy that nobody knows is refused where it is named, with those that are known", () => {
      const { inbox } = fixture.inbox({ retryPolicies: { twice: { firstMs: 1, maxMs: 1, attemptsMax: 2 } } });
      expect(() => inbox.on(shop.orderPlaced, () => undefined, { retry: "thrice" })).toThrow("twice, fiveTimes, untilSuccess, usual");
      expect(() => fixture.inbox({ retryPolicies: { usual: { firstMs: 0, maxMs: 1, attemptsMax: 0 } } })).toThrow("meaning already");
    });

    test("a message that waits for its time keeps its key waiting, and no other", async () => {
      const { inbox, events } = fixture.inbox({ concurrency: 1 });
      let isOpen = false;
      inbox.on(shop.orderPlaced, ({ id, key }, tx) => (key === "waits" && !isOpen ? retryAfter(50) : fixture.effect(tx, id)));
      const source = memorySource();
      const waiting = [placed({ key: "waits" }), placed({ key: "waits" })];
      const others = Array.from({ length: 10 }, (_, place) => placed({ key: `k${place % 2}` }));
      source.deliver(...waiting, ...others);
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      await waitUntil(() => source.settled.length === 10, { what: "the other keys are done" });
      expect(await fixture.effects()).toHaveLength(10);
      isOpen = true;
      await waitUntil(() => source.unsettled === 0, { what: "all are settled" });
      stop.abort();
      await run;
      expect((await fixture.effects()).slice(-2)).toEqual(waiting.map(({ id }) => id));
      expect(count(events, "inbox.deadLettered")).toBe(0);
    });

    test("a message that its handler holds keeps its key waiting under skip, too, until it is redriven", async () => {
      const { inbox } = fixture.inbox({ keyPolicy: "skip" });
      inbox.on(shop.orderPlaced, ({ id }, tx, { isRedriven }) => {
        if (id === "held" && !isRedriven) hold("stocktaking");
        if (id === "rejected" && !isRedriven) reject("no");
        return fixture.effect(tx, id);
      });
      const send = (id: string, key: string) => inbox.process(delivery(placed({ id, key })));
      await send("held", "a");
      await send("rejected", "b");
      expect([await send("1", "a"), await send("2", "b")]).toEqual([
        { kind: "done", as: "held" },
        { kind: "done", as: "handled" },
      ]);
      expect([...(await fixture.letters())].sort()).toEqual(["1 held null", "held dead held:stocktaking", "rejected dead no"]);
      await redriveDeadLetters(fixture.database, fixture.space, { messageId: "held" }, { who: "ann", why: "counted" });
      while ((await inbox.redrive()) > 0);
      expect(await fixture.effects()).toEqual(["2", "held", "1"]);
    });

    describe("the producer of a dead letter", () => {
      const telling = (fails: boolean, sql: string) =>
        fixture.inbox({
          attemptsMax: 1,
          async onDeadLetter(tx, { message, reason, attempts }) {
            expect(attempts).toBeGreaterThanOrEqual(0);
            await tx.query(fixture.sql(sql), [message.id, reason]);
            if (fails) throw new Error("no outbox");
          },
        });
      const insert = "insert into told (message_id, reason) values ($1, $2)";
      const told = async (): Promise<readonly string[]> =>
        (await fixture.database.query("select message_id, reason from told", [])).map(
          (row) => `${String(row["message_id"])} ${String(row["reason"])}`,
        );

      test("is told in the transaction that writes it, whatever the reason, and not of what is held behind it", async () => {
        const { inbox, events } = telling(false, insert);
        inbox.on(shop.orderPlaced, ({ id }) => {
          if (id === "rejected") reject("no");
          throw new TypeError("never");
        });
        for (const [id, over] of Object.entries({
          rejected: {},
          behind: {},
          failed: { key: "b" },
          strange: { key: "c", type: "nobody.v1" },
        })) {
          expect(await inbox.process(delivery(placed({ id, ...over })))).toMatchObject({ kind: "done" });
        }
        expect([...(await told())].sort()).toEqual(["failed attemptsExhausted:TypeError", "rejected no", "strange unknownType"]);
        expect(count(events, "inbox.deadLettered")).toBe(3);
      });

      test.each([
        ["throws", insert],
        ["breaks the transaction", "insert into nowhere (message_id, reason) values ($1, $2)"],
      ])("is not told where telling it %s, and the dead letter is written without", async (_, sql) => {
        const { inbox, events } = telling(true, sql);
        inbox.on(shop.orderPlaced, () => reject("no"));
        for (const over of [{ id: "rejected" }, { id: "strange", key: "c", type: "nobody.v1" }]) {
          const message = placed(over);
          expect(await inbox.process(delivery(message))).toMatchObject({ kind: "again", as: "disturbed" });
          expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "deadLettered" });
        }
        expect([...(await fixture.letters())].sort()).toEqual(["rejected dead no", "strange dead unknownType"]);
        expect([await told(), count(events, "inbox.notifyingFailed")]).toEqual([[], 2]);
      });
    });
  }),
);
