import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    /** An inbox whose handler of message `slow` has its effect, then waits for `leave`, and throws at its first attempts. */
    function slowInbox(failures = 0) {
      let enter: () => void = () => undefined;
      let leave: () => void = () => undefined;
      const entered = new Promise<void>((resolve) => {
        enter = resolve;
      });
      const left = new Promise<void>((resolve) => {
        leave = resolve;
      });
      const { inbox, events } = fixture.inbox();
      let runs = 0;
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (id !== "slow") return;
        runs += 1;
        const run = runs;
        enter();
        await left;
        if (run <= failures) throw new Error("not yet");
      });
      return { inbox, events, entered, leave: () => leave() };
    }

    test("a message that is delivered again while its handler runs waits for it, takes no place and counts no start", async () => {
      const { inbox, entered, leave } = slowInbox();
      const slow = placed({ id: "slow", key: null });
      const first = inbox.process({ message: slow, redelivered: null });
      await entered;
      const repeats = Array.from({ length: 12 }, () => inbox.process({ message: slow, redelivered: true }));
      const others = Array.from({ length: 20 }, (_, place) => placed({ id: `m${place}`, key: null }));
      for (const message of others) expect(await inbox.process({ message, redelivered: null })).toMatchObject({ as: "handled" });
      expect(await fixture.count("inbox_attempt", "message_id = 'slow' and started = 1")).toBe(1);
      leave();
      expect(await first).toEqual({ kind: "done", as: "handled" });
      for (const repeat of repeats) expect(await repeat).toEqual({ kind: "done", as: "duplicate" });
      expect(await fixture.effects()).toEqual(["slow", ...others.map(({ id }) => id)]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("a repeat whose first delivery fails runs, also if it came under another key", async () => {
      const { inbox, entered, leave } = slowInbox(1);
      const first = inbox.process({ message: placed({ id: "slow", key: null }), redelivered: false });
      await entered;
      const repeat = inbox.process({ message: placed({ id: "slow", key: "other" }), redelivered: true });
      leave();
      expect(await first).toMatchObject({ kind: "again", as: "failed" });
      expect(await repeat).toEqual({ kind: "done", as: "handled" });
      expect(await fixture.effects()).toEqual(["slow"]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });

    test("a message that another process is handling comes again, stops nobody, counts no start and is not taken for poison", async () => {
      const { inbox, entered, leave } = slowInbox(1);
      const { inbox: other } = slowInbox();
      const slow = placed({ id: "slow", key: null });
      const first = inbox.process({ message: slow, redelivered: true });
      await entered;
      await waitUntil(() => fixture.count("inbox_attempt", "message_id = 'slow' and started = 1").then((rows) => rows === 1), {
        what: "its start is counted",
      });
      for (let time = 0; time < 4; time++) {
        expect(await other.process({ message: slow, redelivered: true })).toMatchObject({ kind: "again", as: "disturbed" });
        expect(await other.process({ message: placed({ key: null }), redelivered: true })).toMatchObject({ as: "handled" });
      }
      expect(await fixture.count("inbox_attempt", "started = 1 and failed = 0")).toBe(1);
      leave();
      expect(await first).toMatchObject({ kind: "again", as: "failed" });
      expect(await inbox.process({ message: slow, redelivered: true })).toEqual({ kind: "done", as: "handled" });
      expect(await other.process({ message: slow, redelivered: true })).toEqual({ kind: "done", as: "duplicate" });
      expect([await fixture.letters(), await fixture.count("inbox_attempt")]).toEqual([[], 0]);
    });
  }),
);
