import type { Source, WaybillEvent } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { forEachDatabase, memorySource, waitUntil } from "@waybill/testing";
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

    const has = (events: readonly WaybillEvent[], name: string): boolean => events.some((event) => event.name === name);

    test("messages of one key are handled in order while other keys go on side by side, and none is settled before its commit", async () => {
      const { inbox } = fixture.inbox({ concurrency: 4 });
      const running = new Set<string>();
      let most = 0;
      inbox.on(shop.orderPlaced, async ({ id, key }, tx) => {
        expect(running.has(key as string)).toBe(false);
        running.add(key as string);
        most = Math.max(most, running.size);
        await tx.query(fixture.sleep(0.002), []);
        await fixture.effect(tx, id);
        running.delete(key as string);
      });
      const source = memorySource({ batchMax: 50 });
      const messages = Array.from({ length: 200 }, (_, place) => placed({ key: `k${place % 10}` }));
      source.deliver(...messages);
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      await waitUntil(() => source.unsettled === 0, { what: "all are settled", deadlineMs: 40_000 });
      const effects = await fixture.effects();
      stop.abort();
      await run;
      expect([effects.length, new Set(effects).size]).toEqual([200, 200]);
      expect(most).toBe(4);
      for (let key = 0; key < 10; key++) {
        const ids = messages.filter((message) => message.key === `k${key}`).map(({ id }) => id);
        expect(effects.filter((id) => ids.includes(id))).toEqual(ids);
      }
    });

    test("behind a message that comes again, later ones of its key come again, too, and nothing is overtaken", async () => {
      const { inbox } = fixture.inbox();
      const failed = new Set<string>();
      inbox.on(shop.orderPlaced, async ({ id, sequence }, tx) => {
        await fixture.effect(tx, id);
        if (sequence === null || sequence % 3n !== 0n || failed.has(id)) return;
        failed.add(id);
        throw new Error("not yet");
      });
      const source = memorySource({ batchMax: 10 });
      const messages = Array.from({ length: 12 }, () => placed());
      source.deliver(...messages);
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      await waitUntil(() => source.unsettled === 0, { what: "all are settled" });
      stop.abort();
      await run;
      expect(await fixture.effects()).toEqual(messages.map(({ id }) => id));
    });

    test("released dead letters are run while the inbox runs, before newer messages of their key", async () => {
      const { inbox, events } = fixture.inbox();
      let isClosed = true;
      inbox.on(shop.orderPlaced, ({ id }, tx) => (isClosed ? reject("closed") : fixture.effect(tx, id)));
      const source = memorySource();
      const messages = [placed(), placed(), placed()];
      source.deliver(...messages);
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      await waitUntil(() => source.unsettled === 0, { what: "one is a dead letter and two are held" });
      isClosed = false;
      await redriveDeadLetters(fixture.database, fixture.space, { state: "dead" }, { who: "ann", why: null });
      const newer = placed();
      source.deliver(newer);
      await waitUntil(async () => (await fixture.effects()).length === 4, { what: "all four have run" });
      stop.abort();
      await run;
      expect(await fixture.effects()).toEqual([...messages, newer].map(({ id }) => id));
      expect(has(events, "inbox.redriven")).toBe(true);
    });

    test("a stop lets running handlers end, starts no others, and resolves", async () => {
      const { inbox, events } = fixture.inbox({ concurrency: 2 });
      const stop = new AbortController();
      let started = 0;
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        started += 1;
        if (started === 2) stop.abort();
        await tx.query(fixture.sleep(0.1), []);
        await fixture.effect(tx, id);
      });
      const source = memorySource();
      source.deliver(...Array.from({ length: 8 }, (_, place) => placed({ key: `k${place}` })));
      await inbox.run(source, { signal: stop.signal });
      expect([started, source.settled.length, source.unsettled]).toEqual([2, 2, 6]);
      expect(await fixture.effects()).toHaveLength(2);
      expect(events.slice(-3).map(({ name }) => name)).toEqual(["inbox.committed", "inbox.settling", "inbox.stopped"]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("what does not end within the drain is cut off, uses up no attempt, and comes again", async () => {
      const { inbox } = fixture.inbox({ drainDeadlineMs: 50 });
      const stop = new AbortController();
      let aborted = false;
      inbox.on(shop.orderPlaced, async ({ id }, tx, { signal }) => {
        await fixture.effect(tx, id);
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        stop.abort();
        await new Promise(() => undefined);
      });
      const source = memorySource();
      const message = placed();
      source.deliver(message);
      await inbox.run(source, { signal: stop.signal });
      expect([aborted, source.unsettled]).toEqual([true, 1]);
      expect([await fixture.effects(), await fixture.count("inbox")]).toEqual([[], 0]);
      expect(await fixture.count("inbox_attempt", "started > failed")).toBe(0);
    });

    test("a source that does not end when it is told to does not keep run from resolving", async () => {
      const { inbox } = fixture.inbox({ drainDeadlineMs: 50 });
      const stuck: Source = { consume: () => new Promise(() => undefined) };
      const stop = new AbortController();
      const run = inbox.run(stuck, { signal: stop.signal });
      stop.abort();
      await run;
    });

    test("a source that fails is consumed again, and one that fails too often ends run with its error", async () => {
      const { inbox, events } = fixture.inbox({ sourceFailuresMax: 2, random: { fraction: () => 0 } });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const source = memorySource();
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      source.deliver(placed());
      await waitUntil(() => source.unsettled === 0, { what: "the first is settled" });
      const failure = Object.assign(new Error("the broker is gone"), { code: "ECONNRESET" });
      source.fail(failure);
      await waitUntil(() => has(events, "inbox.sourceFailed"), { what: "the source has failed" });
      expect(events.find(({ name }) => name === "inbox.sourceFailed")).toMatchObject({ code: "ECONNRESET", afterMs: 1 });
      source.deliver(placed());
      await waitUntil(() => source.unsettled === 0, { what: "the second is settled" });
      source.fail(failure);
      await waitUntil(() => events.filter(({ name }) => name === "inbox.sourceFailed").length === 2, {
        what: "the source has failed again",
      });
      let hasEnded = false;
      const ended = run
        .catch((error: unknown) => error)
        .finally(() => {
          hasEnded = true;
        });
      await waitUntil(
        () => {
          source.fail(failure);
          return hasEnded;
        },
        { what: "run has given up" },
      );
      expect(await ended).toBe(failure);
      expect(events.at(-1)?.name).toBe("inbox.stopped");
    });

    test("a source that ends by itself ends run", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const message = placed();
      const once: Source = { consume: async (handle) => void (await handle([{ message, redelivered: false }])) };
      await inbox.run(once, { signal: new AbortController().signal });
      expect(await fixture.effects()).toEqual([message.id]);
    });

    test("a close stops what runs, twice is once, and later messages come again", async () => {
      const { inbox } = fixture.inbox();
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const source = memorySource();
      source.deliver(placed());
      const run = inbox.run(source, { signal: new AbortController().signal });
      await waitUntil(() => source.unsettled === 0, { what: "the first is settled" });
      const closing = inbox.close();
      expect(inbox.close()).toBe(closing);
      await closing;
      await run;
      expect(await inbox.process({ message: placed(), redelivered: false })).toEqual({ kind: "again", afterMs: 0, as: "stopped" });
    });

    test("more messages than may wait are sent back at once, and nothing is lost or doubled", async () => {
      const { inbox } = fixture.inbox({ concurrency: 4, prefetch: 0 });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      const messages = Array.from({ length: 1_200 }, (_, place) => placed({ key: `k${place}` }));
      const processed = await Promise.all(messages.map((message) => inbox.process({ message, redelivered: false })));
      const handled = processed.filter(({ kind }) => kind === "done").length;
      expect(handled).toBe(1_000);
      expect(processed.filter(({ as }) => as === "full")).toHaveLength(200);
      expect(await fixture.effects()).toHaveLength(1_000);
    });

    test("a listener that throws changes nothing", async () => {
      const { inbox } = fixture.inbox({
        onEvent: () => {
          throw new Error("the listener's own");
        },
      });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      expect(await inbox.process({ message: placed(), redelivered: false })).toEqual({ kind: "done", as: "handled" });
    });
  }),
);
