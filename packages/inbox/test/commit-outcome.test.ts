import { openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachDatabase, startFaultProxy } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    let proxy: FaultProxy;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      const { hostname, port } = new URL(fixture.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    beforeEach(() => fixture.clear());
    afterAll(async () => {
      await proxy.stop();
      await fixture.close();
    });

    test.each([
      { at: "afterRequest", what: "just sent" },
      { at: "beforeReply", what: "done, its answer on the way" },
    ] as const)(
      "a COMMIT that is cut when it is $what makes its message come again, and one effect is there in the end",
      async ({ at }) => {
        const database = openDatabase({ url: proxy.url(fixture.url), connections: 2 });
        const { inbox, events } = fixture.inbox({ database, prefetch: 0 });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        await inbox.process({ message: placed({ id: "warm" }), redelivered: false });
        for (let round = 0; round < 20; round++) {
          const message = placed({ id: `m${round}` });
          const fault = proxy.inject({ kind: "cut", at, pattern: fixture.commit });
          const first = await inbox.process({ message, redelivered: false });
          expect(fault.fired).toBe(1);
          fault.lift();
          expect(first).toMatchObject({ kind: "again", as: "unknown" });
          expect(events.at(-2)).toMatchObject({ name: "inbox.outcomeUnknown", messageId: message.id });
          for (let tries = 0, kind = "again"; kind === "again"; tries++) {
            expect(tries).toBeLessThan(20);
            ({ kind } = await inbox.process({ message, redelivered: true }));
          }
        }
        expect((await fixture.effects()).filter((id) => id !== "warm")).toEqual(Array.from({ length: 20 }, (_, round) => `m${round}`));
        expect(await fixture.count("inbox_attempt")).toBe(0);
        await database.close();
      },
    );

    test("a database that is out of reach uses up no attempt, and the message is handled when it is back", async () => {
      const database = openDatabase({ url: proxy.url(fixture.url), connections: 2, connectDeadlineMs: 500 });
      const { inbox, events } = fixture.inbox({ database, attemptsMax: 1, poisonAttempts: 1 });
      inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
      await inbox.process({ message: placed(), redelivered: false });
      const message = placed();
      const fault = proxy.inject({ kind: "refuse" });
      proxy.cutAll();
      for (let round = 0; round < 5; round++) {
        expect(await inbox.process({ message, redelivered: true })).toMatchObject({ kind: "again", as: "disturbed" });
      }
      fault.lift();
      expect(await inbox.process({ message, redelivered: true })).toEqual({ kind: "done", as: "handled" });
      expect(events.some(({ name }) => name === "inbox.handlerFailed")).toBe(false);
      expect(await fixture.letters()).toEqual([]);
      await database.close();
    });

    test("a connection that is lost while its handler runs is a failed attempt, and nothing of it stays", async () => {
      const database = openDatabase({ url: proxy.url(fixture.url), connections: 2 });
      const { inbox } = fixture.inbox({ database });
      let isFirst = true;
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        await fixture.effect(tx, id);
        if (isFirst) proxy.cutAll();
        isFirst = false;
        await fixture.effect(tx, id);
      });
      const message = placed();
      expect(await inbox.process({ message, redelivered: false })).toMatchObject({ kind: "again", as: "failed" });
      expect(await inbox.process({ message, redelivered: true })).toEqual({ kind: "done", as: "handled" });
      expect(await fixture.effects()).toEqual([message.id, message.id]);
      await database.close();
    });
  }),
);
