import type { ReceivedMessage, WaybillEvent } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { openDatabase } from "@waybill/sql";
import { forEachDatabase, memorySource, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Inbox, type InboxOptions, reject } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const delivery = (message: ReceivedMessage, redelivered: boolean | null = false) => ({ message, redelivered });
    const names = (events: readonly WaybillEvent[]): readonly string[] => events.map(({ name }) => name);
    /** An inbox whose handler writes one effect. */
    const effectInbox = (options: Partial<InboxOptions> = {}): { readonly inbox: Inbox; readonly events: WaybillEvent[] } => {
      const made = fixture.inbox(options);
      made.inbox.on(shop.orderPlaced, (message, tx) => fixture.effect(tx, message.id, options.consumer));
      return made;
    };
    const redrive = (messageId: string) => redriveDeadLetters(fixture.database, fixture.space, { messageId }, { who: "ann", why: null });

    test("a redelivered message runs its handler once per consumer", async () => {
      const { inbox } = effectInbox();
      const { inbox: other } = effectInbox({ consumer: "other" });
      const message = placed();
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "handled" });
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "duplicate" });
      expect(await inbox.process(delivery(message, null))).toEqual({ kind: "done", as: "duplicate" });
      expect(await other.process(delivery(message, true))).toEqual({ kind: "done", as: "handled" });
      expect([await fixture.effects("c"), await fixture.effects("other")]).toEqual([[message.id], [message.id]]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("a message that its broker is about to delete becomes a dead letter without a further attempt, its key waits, and a redrive runs both", async () => {
      const { inbox } = effectInbox();
      const [last, later] = [placed(), placed()];
      expect(await inbox.process({ ...delivery(last, true), isLastChance: true })).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process({ ...delivery(last, true), isLastChance: true })).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process({ ...delivery(later, true), isLastChance: true })).toEqual({ kind: "done", as: "held" });
      expect(await fixture.effects()).toEqual([]);
      expect(await fixture.letters()).toEqual([`${last.id} dead deliveryLimit`, `${later.id} held null`]);
      await redrive(last.id);
      while ((await inbox.redrive()) > 0);
      expect(await fixture.effects()).toEqual([last.id, later.id]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("a handler gets the payload parsed, headers, trace and place, and its effects are committed before process resolves", async () => {
      const { inbox, events } = fixture.inbox({ prefetch: 0 });
      const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
      const message = placed({
        headers: new Map([
          ["traceparent", trace],
          ["tenant", "t1"],
        ]),
      });
      let seen: unknown;
      inbox.on(shop.orderPlaced, async (handled, tx, { attempt, isRedriven, signal }) => {
        seen = { ...handled, tenant: handled.headers.get("tenant"), attempt, isRedriven, aborted: signal.aborted, dialect: tx.dialect };
        await fixture.effect(tx, handled.id);
      });
      await inbox.process(delivery(message));
      expect(await fixture.effects()).toEqual([message.id]);
      expect(seen).toEqual({
        ...message,
        payload: { orderId: "k" },
        trace: { traceparent: trace },
        tenant: "t1",
        attempt: 1,
        isRedriven: false,
        aborted: false,
        dialect: server.dialect,
      });
      expect(names(events)).toEqual([
        "inbox.received",
        "inbox.unitBegun",
        "inbox.deduped",
        "inbox.handling",
        "inbox.handled",
        "inbox.committing",
        "inbox.committed",
        "inbox.settling",
      ]);
    });

    test("of two consumers' processes that get the same message at once one handles it, two hundred times", async () => {
      const { inbox: left } = effectInbox();
      const { inbox: right } = effectInbox();
      for (let round = 0; round < 200; round++) {
        const message = placed({ key: null });
        const processed = await Promise.all([left.process(delivery(message)), right.process(delivery(message))]);
        expect(processed.map((one) => one.kind === "done" && one.as).sort((a, b) => String(a).localeCompare(String(b)))).toEqual([
          "duplicate",
          "handled",
        ]);
      }
      const ids = await fixture.effects();
      expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
    });

    test("a handler that throws leaves nothing, and its message comes again with backoff", async () => {
      const { inbox, events } = fixture.inbox({ prefetch: 0 });
      let runs = 0;
      inbox.on(shop.orderPlaced, async ({ id }, tx, { attempt }) => {
        await fixture.effect(tx, id);
        runs += 1;
        expect(attempt).toBe(runs);
        if (runs < 3) throw new Error("the warehouse is closed");
      });
      const message = placed();
      const first = await inbox.process(delivery(message));
      expect(first).toMatchObject({ kind: "again", as: "failed" });
      expect(await fixture.effects()).toEqual([]);
      expect(await inbox.process(delivery(message))).toMatchObject({ kind: "again" });
      expect(await fixture.count("inbox_attempt", "started = 2 and failed = 2")).toBe(1);
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "handled" });
      expect(await fixture.effects()).toEqual([message.id]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
      expect(names(events).filter((name) => name === "inbox.attemptStarted")).toHaveLength(2);
    });

    test("attempts are remembered over a restart, and end in a dead letter", async () => {
      const message = placed();
      for (let attempt = 1; attempt <= 3; attempt++) {
        const { inbox } = fixture.inbox({ attemptsMax: 3 });
        inbox.on(shop.orderPlaced, () => {
          throw new RangeError("order of ann@example.com");
        });
        expect((await inbox.process(delivery(message, attempt > 1))).kind).toBe(attempt < 3 ? "again" : "done");
      }
      expect(await fixture.letters()).toEqual([`${message.id} dead attemptsExhausted:RangeError`]);
      expect([await fixture.count("inbox"), await fixture.count("inbox_attempt")]).toEqual([0, 0]);
    });

    test("a rejected message is a dead letter at once, and settled only after that is committed", async () => {
      const { inbox, events } = fixture.inbox();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        reject("no such customer");
      });
      const message = placed();
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead no such customer`]);
      expect(await fixture.effects()).toEqual([]);
      expect(names(events).slice(-4)).toEqual(["inbox.deadLettering", "inbox.committing", "inbox.deadLettered", "inbox.settling"]);
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toHaveLength(1);
    });

    test("a payload that its type cannot read is a dead letter, and its bytes are kept", async () => {
      const { inbox } = effectInbox();
      const message = placed({ payload: Buffer.from("{not json \u0000") });
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead payloadInvalid`]);
      const [row] = await fixture.database.query("select payload_bytes from waybill_dead_letter", []);
      expect(Buffer.from(row?.["payload_bytes"] as Uint8Array)).toEqual(message.payload);
    });

    test("a message without a usable id is a dead letter, once", async () => {
      const { inbox } = effectInbox();
      const message = placed({ id: "" });
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([expect.stringMatching(/^unusable-id:\w+ dead messageIdInvalid$/)]);
    });

    test("one id with two contents: the second is flagged and held, and never runs", async () => {
      const { inbox } = effectInbox({ keyPolicy: "skip" });
      const message = placed();
      const forged = { ...message, payload: Buffer.from('{"orderId":"k","extra":1}') };
      await inbox.process(delivery(message));
      expect(await inbox.process(delivery(forged))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process(delivery(forged, true))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "duplicate" });
      expect(await fixture.letters()).toEqual([`${message.id} dead sameIdOtherContent`]);
      await redrive(message.id);
      await inbox.redrive();
      expect(await fixture.letters()).toEqual([`${message.id} dead sameIdOtherContent`]);
      expect(await fixture.effects()).toEqual([message.id]);
    });

    test("one id with two contents: the second is kept beside a dead letter of the first", async () => {
      const { inbox } = fixture.inbox({ keyPolicy: "skip" });
      inbox.on(shop.orderPlaced, () => reject("no"));
      const message = placed();
      const forged = { ...message, payload: null };
      await inbox.process(delivery(message));
      await inbox.process(delivery(forged));
      await inbox.process(delivery(forged, true));
      expect(await fixture.letters()).toEqual([`${message.id} dead sameIdOtherContent`, `${message.id} dead no`]);
    });

    test("a handler that swallows an SQL error does not commit", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        await tx.query("select * from nowhere", []).catch(() => undefined);
      });
      expect(await inbox.process(delivery(placed()))).toMatchObject({ kind: "again", as: "failed" });
      expect([await fixture.effects(), await fixture.count("inbox")]).toEqual([[], 0]);
    });

    test.runIf(server.dialect === "postgres")("a constraint that fails at COMMIT is a failed attempt, not a handled message", async () => {
      await fixture.database.query("create table parent (id int primary key)", []);
      await fixture.database.query("create table child (id int references parent deferrable initially deferred)", []);
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, async (_, tx) => void (await tx.query("insert into child values (1)", [])));
      expect(await inbox.process(delivery(placed()))).toMatchObject({ kind: "again", as: "failed" });
      expect([await fixture.count("inbox"), await fixture.count("inbox_attempt", "failed = 1")]).toEqual([0, 1]);
      await fixture.database.query("drop table child, parent", []);
    });

    test("handlers that deadlock run again at once and use up no attempt", async () => {
      await fixture.database.query("create table stock (sku int primary key, sold int not null default 0)", []);
      await fixture.database.query("insert into stock (sku) values (1), (2)", []);
      const { inbox, events } = fixture.inbox({ prefetch: 0 });
      let arrived = 0;
      let bothThere: () => void = () => undefined;
      const both = new Promise<void>((resolve) => {
        bothThere = resolve;
      });
      let runs = 0;
      inbox.on(shop.orderPlaced, async (handled, tx, { attempt }) => {
        runs += 1;
        expect(attempt).toBe(1);
        const [first, second] = handled.payload.orderId === "up" ? [1, 2] : [2, 1];
        await tx.query(fixture.sql("update stock set sold = sold + 1 where sku = $1"), [first as number]);
        arrived += 1;
        if (arrived === 2) bothThere();
        await both;
        await tx.query(fixture.sql("update stock set sold = sold + 1 where sku = $1"), [second as number]);
      });
      const processed = await Promise.all(
        ["up", "down"].map((orderId) =>
          inbox.process(delivery(placed({ key: orderId, payload: Buffer.from(JSON.stringify({ orderId })) }))),
        ),
      );
      expect(processed).toEqual([
        { kind: "done", as: "handled" },
        { kind: "done", as: "handled" },
      ]);
      expect(runs).toBeGreaterThanOrEqual(3); // Who is rolled back may be back before the other has woken, and collide again.
      expect(names(events)).not.toContain("inbox.handlerFailed");
      const rows = await fixture.database.query("select sold from stock order by sku", []);
      expect(rows).toEqual([{ sold: 2 }, { sold: 2 }]);
      await fixture.database.query("drop table stock", []);
    });

    test("a handler that passes its deadline is cut off, its transaction is gone, and the start counts", async () => {
      const { inbox } = fixture.inbox({ handlerDeadlineMs: 400, poisonAttempts: 2 });
      let late: Promise<unknown> = Promise.resolve();
      const signals: AbortSignal[] = [];
      inbox.on(shop.orderPlaced, async ({ id }, tx, { signal }) => {
        signals.push(signal);
        await fixture.effect(tx, id);
        await new Promise((resolve) => signal.addEventListener("abort", () => setImmediate(resolve)));
        late = tx.query("select 1", []).catch((error: unknown) => error);
        await new Promise(() => undefined);
      });
      const message = placed();
      expect(await inbox.process(delivery(message))).toMatchObject({ kind: "again", as: "failed" });
      expect(await late).toMatchObject({ code: "WAYBILL_NOT_IN_TRANSACTION" });
      expect(signals[0]?.aborted).toBe(true);
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 0")).toBe(1);
      expect(await inbox.process(delivery(message))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead poison`]);
      expect(await fixture.effects()).toEqual([]);
    });

    test("a statement that hangs past the handler's deadline loses its connection", async () => {
      const { inbox } = fixture.inbox({ handlerDeadlineMs: 50 });
      inbox.on(shop.orderPlaced, async (_, tx) => void (await tx.query(fixture.sleep(30), [])));
      expect(await inbox.process(delivery(placed()))).toMatchObject({ kind: "again", as: "failed" });
      await waitUntil(async () => (await fixture.running("sleep(30)")) === 0, { what: "the server has ended the statement" });
    });

    test("under hold, messages wait behind a dead letter of their key, other keys go on, and a redrive runs all in order", async () => {
      const { inbox } = fixture.inbox();
      let isClosed = true;
      inbox.on(shop.orderPlaced, async ({ id, key }, tx, { isRedriven }) => {
        if (isClosed && key === "k") reject("closed");
        expect(isRedriven).toBe(key === "k");
        await fixture.effect(tx, id);
      });
      const [first, second, third, other, keyless] = [placed(), placed(), placed(), placed({ key: "other" }), placed({ key: null })];
      expect(await inbox.process(delivery(first))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process(delivery(second))).toEqual({ kind: "done", as: "held" });
      expect(await inbox.process(delivery(second, true))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await inbox.process(delivery(third))).toEqual({ kind: "done", as: "held" });
      expect(await inbox.process(delivery(other))).toEqual({ kind: "done", as: "handled" });
      expect(await inbox.process(delivery(keyless))).toEqual({ kind: "done", as: "handled" });
      expect(await fixture.letters()).toEqual([`${first.id} dead closed`, `${second.id} held null`, `${third.id} held null`]);

      await redrive(first.id);
      expect(await inbox.redrive()).toBe(1);
      expect(await fixture.letters()).toEqual([`${first.id} dead closed`, `${second.id} held null`, `${third.id} held null`]);

      isClosed = false;
      await redrive(first.id);
      expect(await inbox.redrive()).toBe(3);
      expect(await fixture.letters()).toEqual(
        [first, second, third].map(({ id }, place) => `${id} done ${place === 0 ? "closed" : "null"}`),
      );
      const fourth = placed();
      isClosed = false;
      expect(await fixture.effects()).toEqual([other.id, keyless.id, first.id, second.id, third.id]);
      expect(await inbox.process(delivery(third, true))).toEqual({ kind: "done", as: "duplicate" });
      await expect(inbox.process(delivery(fourth))).resolves.toMatchObject({ kind: "again" }); // not redriven, so the handler's expectation throws
    });

    test("under skip nothing waits behind a dead letter, but what is held keeps its place", async () => {
      const { inbox: holding } = fixture.inbox();
      holding.on(shop.orderPlaced, () => reject("closed"));
      const { inbox: skipping } = effectInbox({ keyPolicy: "skip" });
      const [first, second, third] = [placed(), placed(), placed()];
      await holding.process(delivery(first));
      expect(await skipping.process(delivery(second))).toEqual({ kind: "done", as: "handled" });
      const held = placed();
      await holding.process(delivery(held));
      expect(await skipping.process(delivery(third))).toEqual({ kind: "done", as: "held" });
    });

    test("a duplicate of a key that waits is settled and not held", async () => {
      const { inbox } = fixture.inbox();
      let isClosed = false;
      inbox.on(shop.orderPlaced, ({ id }, tx) => (isClosed ? reject("closed") : fixture.effect(tx, id)));
      const [first, second] = [placed(), placed()];
      await inbox.process(delivery(first));
      isClosed = true;
      await inbox.process(delivery(second));
      expect(await inbox.process(delivery(first, true))).toEqual({ kind: "done", as: "duplicate" });
    });

    test("an unknown type is held and released by the version that knows it, with a line of audit", async () => {
      const { inbox: older } = effectInbox();
      const unknown = placed({ type: "shop.order.paid.v1" });
      const behind = placed();
      expect(await older.process(delivery(unknown))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await older.process(delivery(behind))).toEqual({ kind: "done", as: "held" });
      expect(await older.redrive()).toBe(0);
      expect(await fixture.letters()).toEqual([`${unknown.id} dead unknownType`, `${behind.id} held null`]);

      const { inbox: newer } = effectInbox();
      newer.on(shop.orderPaid, ({ id }, tx) => fixture.effect(tx, id));
      expect(await newer.redrive()).toBe(2);
      expect(await fixture.effects()).toEqual([unknown.id, behind.id]);
      const audit = await fixture.database.query("select who, what, subject from waybill_audit", []);
      expect(audit).toEqual([{ who: "inbox c", what: "dead-letter.redrive", subject: `inbox c message ${unknown.id}` }]);
    });

    test("an ignored type is settled without a trace, and what was held of it is let go", async () => {
      const { inbox: older } = effectInbox();
      const unknown = placed({ type: "shop.order.paid.v1" });
      await older.process(delivery(unknown));
      const { inbox } = effectInbox();
      inbox.ignore(shop.orderPaid);
      const ignored = placed({ type: "shop.order.paid.v1" });
      expect(await inbox.process(delivery(ignored))).toEqual({ kind: "done", as: "ignored" });
      expect(await inbox.redrive()).toBe(1);
      expect(await fixture.letters()).toEqual([`${unknown.id} done unknownType`]);
      expect([await fixture.effects(), await fixture.count("inbox")]).toEqual([[], 0]);
      expect(() => inbox.on(shop.orderPaid, () => undefined)).toThrow("ignored");
      expect(() => inbox.on(shop.orderPlaced, () => undefined)).toThrow("handler already");
    });

    test("a dead letter that is delivered once more is not taken for handled: its redrive runs it", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, ({ id }, tx, { isRedriven }) => (isRedriven ? fixture.effect(tx, id) : reject("closed")));
      const message = placed({ key: null });
      await inbox.process(delivery(message));
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "deadLettered" });
      await redrive(message.id);
      expect(await inbox.redrive()).toBe(1);
      expect(await fixture.effects()).toEqual([message.id]);
    });

    test("a process leaves a lane to the one that is at it, without waiting", async () => {
      const { inbox } = fixture.inbox();
      let other = 0;
      inbox.on(shop.orderPlaced, async ({ id }, tx, { isRedriven }) => {
        if (!isRedriven) reject("closed");
        other += await effectInbox().inbox.redrive();
        await fixture.effect(tx, id);
      });
      const messages = [placed(), placed()];
      for (const message of messages) await inbox.process(delivery(message));
      await redriveDeadLetters(fixture.database, fixture.space, { state: "dead" }, { who: "ann", why: null });
      expect(await inbox.redrive()).toBe(2);
      expect([other, await fixture.effects()]).toEqual([0, messages.map(({ id }) => id)]);
    });

    test("a redriven message is the one that came, with its headers, its place and its attempts begun anew", async () => {
      const { inbox } = fixture.inbox({ attemptsMax: 1 });
      const seen: unknown[] = [];
      inbox.on(shop.orderPlaced, ({ headers, ...rest }, _tx, { attempt, isRedriven }) => {
        seen.push({ ...rest, headers: Object.fromEntries(headers), attempt });
        if (!isRedriven) throw new Error("not yet");
      });
      await inbox.process(delivery(placed({ topic: null, headers: new Map([["tenant", "t1"]]), sequence: 9_007_199_254_740_993n })));
      await redriveDeadLetters(fixture.database, fixture.space, { state: "dead" }, { who: "ann", why: null });
      expect(await inbox.redrive()).toBe(1);
      expect(seen).toHaveLength(2);
      expect(seen[1]).toEqual(seen[0]);
    });

    test("a handler that fails again when it is redriven uses up its attempts with backoff, then its message is dead once more", async () => {
      const { inbox } = fixture.inbox({ attemptsMax: 2 });
      inbox.on(shop.orderPlaced, () => {
        throw new Error("never");
      });
      const message = placed();
      await inbox.process(delivery(message));
      await inbox.process(delivery(message, true));
      await redrive(message.id);
      expect(await inbox.redrive()).toBe(0);
      expect(await fixture.letters()).toEqual([`${message.id} released attemptsExhausted:Error`]);
      await waitUntil(async () => (await inbox.redrive()) === 1, { what: "its second attempt has failed, too" });
      expect(await fixture.letters()).toEqual([`${message.id} dead attemptsExhausted:Error`]);
      const [row] = await fixture.database.query("select attempts from waybill_dead_letter", []);
      expect([row, await fixture.count("inbox_attempt")]).toEqual([{ attempts: 4 }, 0]);
    });

    test.runIf(server.dialect === "postgres")(
      "under SERIALIZABLE the same message at two processes has one effect and uses up no attempt",
      async () => {
        const url = new URL(fixture.url);
        url.searchParams.set("options", "-c default_transaction_isolation=serializable");
        const database = openDatabase({ url: url.href, connections: 4 });
        const inboxes = [effectInbox({ database }), effectInbox({ database })];
        for (let round = 0; round < 30; round++) {
          const message = placed({ key: null });
          await Promise.all(
            inboxes.map(async ({ inbox }) => {
              for (let kind = "again"; kind === "again"; ) ({ kind } = await inbox.process(delivery(message)));
            }),
          );
        }
        const ids = await fixture.effects();
        expect([ids.length, new Set(ids).size]).toEqual([30, 30]);
        expect(inboxes.flatMap(({ events }) => names(events))).not.toContain("inbox.handlerFailed");
        await database.close();
      },
    );

    test("two processes that redrive at once handle each message once and in order", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, () => reject("closed"));
      const messages = Array.from({ length: 30 }, (_, place) => placed({ key: `k${place % 3}` }));
      for (const message of messages) await inbox.process(delivery(message));
      await redriveDeadLetters(fixture.database, fixture.space, { state: "dead" }, { who: "ann", why: null });
      const inboxes = [effectInbox().inbox, effectInbox().inbox, effectInbox().inbox];
      await waitUntil(
        async () => {
          await Promise.all(inboxes.map((one) => one.redrive()));
          return (await fixture.letters()).every((letter) => letter.includes(" done "));
        },
        { what: "all are done" },
      );
      const ids = await fixture.effects();
      expect([ids.length, new Set(ids).size]).toEqual([30, 30]);
      for (const key of ["k0", "k1", "k2"]) {
        const ofKey = messages.filter((message) => message.key === key).map(({ id }) => id);
        expect(ids.filter((id) => ofKey.includes(id))).toEqual(ofKey);
      }
    });

    test("a message with an unfinished start runs alone, so that no neighbour is blamed for the next end", async () => {
      const { inbox } = fixture.inbox();
      const suspect = placed({ key: "suspect" });
      const counted = "insert into waybill_inbox_attempt (consumer, message_id, started, failed) values ('c', $1, 1, 0)";
      await fixture.database.query(fixture.sql(counted), [suspect.id]);
      let running = 0;
      const beside: number[] = [];
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        running += 1;
        if (id === suspect.id) beside.push(running);
        await tx.query(fixture.sleep(0.02), []);
        if (id === suspect.id) beside.push(running);
        running -= 1;
      });
      const others = Array.from({ length: 10 }, (_, place) => placed({ key: `k${place}` }));
      await Promise.all([...others.slice(0, 5), suspect, ...others.slice(5)].map((message) => inbox.process(delivery(message))));
      expect(beside).toEqual([1, 1]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("a message that was started too often without an end is put aside before its handler runs", async () => {
      const { inbox } = effectInbox();
      const message = placed();
      const counted = "insert into waybill_inbox_attempt (consumer, message_id, started, failed) values ('c', $1, 5, 2)";
      await fixture.database.query(fixture.sql(counted), [message.id]);
      expect(await inbox.process(delivery(message, true))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${message.id} dead poison`]);
      expect([await fixture.effects(), await fixture.count("inbox_attempt")]).toEqual([[], 0]);
    });

    test("a message older than the memory is refused and kept, unless it was handled; a redrive runs it", async () => {
      const { inbox } = effectInbox();
      const old = placed({ createdAtMs: Date.now() - 15 * 86_400_000 });
      expect(await inbox.process(delivery(old))).toEqual({ kind: "done", as: "deadLettered" });
      expect(await fixture.letters()).toEqual([`${old.id} dead olderThanRetention`]);
      await redrive(old.id);
      expect(await inbox.redrive()).toBe(1);
      expect(await fixture.effects()).toEqual([old.id]);
      expect(await inbox.process(delivery(old, true))).toEqual({ kind: "done", as: "duplicate" });
    });

    test("retention forgets what was handled long ago, in steps, by the database's clock, and nothing else", async () => {
      const { inbox, events } = effectInbox();
      await inbox.process(delivery(placed()));
      const named = (name: string, many: number) => Array.from({ length: many }, (_, place) => `${name} ${place}`);
      await fixture.remember("c", named("old", 2_500), 14 * 24 + 2);
      await fixture.remember("c", named("young", 10), 14 * 24);
      await fixture.remember("other", ["o"], 50_000);
      expect(await inbox.removeHandled()).toBe(2_500);
      expect(await fixture.count("inbox")).toBe(12);
      expect(events.at(-1)).toEqual({ name: "inbox.retentionRemoved", consumer: "c", rows: 2_500 });
    });

    test("a schema that is not there, or not the one needed, is a typed error and loses nothing", async () => {
      const { inbox } = effectInbox({ prefix: "nothing_" });
      await expect(inbox.process(delivery(placed()))).rejects.toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH" });
      await expect(inbox.run(memorySource(), { signal: AbortSignal.timeout(1_000) })).rejects.toMatchObject({
        code: "WAYBILL_SCHEMA_MISMATCH",
      });
    });
  }),
);
