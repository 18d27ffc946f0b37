import { type Alert, confirmByHeader, type ReceivedMessage } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ConfirmedMessage, type Inbox, type InboxOptions, type Processed, reject } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      const id = server.dialect === "postgres" ? "bigint generated always as identity" : "bigint auto_increment primary key";
      await fixture.database.query(`create table sent (id ${id}, fact varchar(500) not null)`, []);
    });
    beforeEach(async () => {
      await fixture.clear();
      await fixture.database.execute("delete from sent", []);
    });
    afterAll(() => fixture.close());

    const asking = (id: string, by = "billing,c", over: Partial<ReceivedMessage> = {}): ReceivedMessage =>
      placed({ id, headers: new Map([[confirmByHeader, by]]), ...over });
    const sent = async (): Promise<readonly ConfirmedMessage[]> =>
      (await fixture.database.query("select fact from sent order by id", [])).map(
        (row) => JSON.parse(String(row["fact"])) as ConfirmedMessage,
      );
    /** As an application appends it to its outbox. */
    const byOutbox = (tx: Tx, fact: ConfirmedMessage): Promise<unknown> =>
      tx.query(fixture.sql("insert into sent (fact) values ($1)"), [JSON.stringify(fact)]);
    const together = (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> =>
      Promise.all(messages.map((one) => inbox.process({ message: one, redelivered: false })));

    describe.each([
      ["one by one", { batchMax: 1 }],
      ["in a batch", { concurrency: 1, prefetch: 0 }],
    ] as readonly (readonly [string, Partial<InboxOptions>])[])("%s", (_, options) => {
      test("a consumer that is asked confirms with the effect, and duplicates again; one that is not asked does not", async () => {
        const { inbox, events } = fixture.inbox({ ...options, confirm: byOutbox });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        const messages = [asking("a"), asking("b", "billing"), asking("c", "cc"), placed({ id: "d" }), asking("e", "c")];
        await together(inbox, messages);
        expect((await sent()).map(({ messageId }) => messageId)).toEqual(["a", "e"]);
        expect((await sent())[0]).toEqual({ messageId: "a", type: shop.orderPlaced.type, topic: "orders", key: "k", consumer: "c" });
        await together(inbox, messages);
        expect((await sent()).map(({ messageId }) => messageId)).toEqual(["a", "e", "a", "e"]);
        expect(events.filter(({ name }) => name === "inbox.confirmed")).toHaveLength(4);
        expect(await fixture.effects()).toEqual(["a", "b", "c", "d", "e"]);
      });

      test("what fails is not confirmed, and what cannot be confirmed keeps no effect and harms no neighbour", async () => {
        let isBroken = true;
        const { inbox } = fixture.inbox({
          ...options,
          confirm: (tx, fact) => (fact.messageId === "broken" && isBroken ? Promise.reject(new Error("no")) : byOutbox(tx, fact)),
        });
        inbox.on(shop.orderPlaced, async ({ id }, tx) => {
          await fixture.effect(tx, id);
          if (id === "fails" && isBroken) throw new Error("no");
        });
        const messages = ["fine", "broken", "fails"].map((id) => asking(id, "c", { key: id }));
        expect((await together(inbox, messages)).map(({ kind }) => kind)).toEqual(["done", "again", "again"]);
        expect([await fixture.effects(), (await sent()).map(({ messageId }) => messageId)]).toEqual([["fine"], ["fine"]]);
        isBroken = false;
        await together(inbox, messages.slice(1));
        expect((await sent()).map(({ messageId }) => messageId).sort()).toEqual(["broken", "fails", "fine"]);
      });

      test("a duplicate that cannot be confirmed is settled after its attempts: no dead letter, nobody is told that it is dead, it holds up no key, and it is confirmed when it comes again", async () => {
        let isBroken = false;
        const toldDead: string[] = [];
        const alerts: Alert[] = [];
        const { inbox, events } = fixture.inbox({
          ...options,
          attemptsMax: 2,
          keyPolicy: "hold",
          onDeadLetter: (_tx, { message }) => Promise.resolve(void toldDead.push(message.id)),
          onAlert: (alert) => void alerts.push(alert),
          confirm: (tx, fact) => (fact.messageId === "broken" && isBroken ? Promise.reject(new Error("no")) : byOutbox(tx, fact)),
        });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        const messages = ["fine", "broken", "other"].map((id) => asking(id, "c", { key: id }));
        await together(inbox, messages);
        isBroken = true;
        const ends = (processed: readonly Processed[]): readonly string[] => processed.map(({ kind, as }) => `${kind} ${as}`);
        expect(ends(await together(inbox, messages))).toEqual(["done duplicate", "again failed", "done duplicate"]);
        expect(ends(await together(inbox, messages))).toEqual(["done duplicate", "done duplicate", "done duplicate"]);
        expect([await fixture.letters(), toldDead]).toEqual([[], []]);
        expect(events.filter(({ name }) => name === "inbox.confirmationGivenUp")).toMatchObject([
          { messageId: "broken", reason: "attemptsExhausted:Error" },
        ]);
        expect(alerts).toMatchObject([{ kind: "unconfirmed", subject: "c" }]);
        const effects = ["broken", "fine", "other"];
        expect([[...(await fixture.effects())].sort(), await fixture.count("inbox_attempt")]).toEqual([effects, 0]);

        isBroken = false;
        const before = await sent();
        expect(ends(await together(inbox, [asking("broken", "c", { key: "broken" })]))).toEqual(["done duplicate"]);
        expect((await sent()).slice(before.length).map(({ messageId }) => messageId)).toEqual(["broken"]);
        expect(ends(await together(inbox, [placed({ id: "later", key: "broken" })]))).toEqual(["done handled"]);
        expect([...(await fixture.effects())].sort()).toEqual([...effects, "later"].sort());
      });

      test.each([
        ["that was handled before", true],
        ["that is new", false],
      ])(
        "a confirmation that never ends is cut off at the deadline, of a message %s, and counts as a start without an end",
        async (_what, isDuplicate) => {
          let isStuck = false;
          const { inbox } = fixture.inbox({
            ...options,
            handlerDeadlineMs: 1_000,
            poisonAttempts: 2,
            confirm: (tx, fact) => (fact.messageId === "stuck" && isStuck ? new Promise(() => undefined) : byOutbox(tx, fact)),
          });
          inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
          const messages = ["stuck", "other"].map((id) => asking(id, "c", { key: id }));
          if (isDuplicate) await together(inbox, messages);
          isStuck = true;
          const [first, other] = await together(inbox, messages);
          expect([first?.kind, other?.kind]).toEqual(["again", "done"]);
          expect((await together(inbox, messages)).map(({ as }) => as)).toEqual([isDuplicate ? "duplicate" : "deadLettered", "duplicate"]);
          expect(await fixture.letters()).toEqual(isDuplicate ? [] : ["stuck dead poison"]);
          expect([...(await fixture.effects())].sort()).toEqual(isDuplicate ? ["other", "stuck"] : ["other"]);
          expect(await fixture.openTransactions()).toBe(0);
        },
      );

      test("a confirmation that rejects makes a dead letter at once, and none of a duplicate", async () => {
        let isRefused = false;
        const { inbox, events } = fixture.inbox({
          ...options,
          confirm: (tx, fact) => (isRefused ? reject("noSuchProducer") : byOutbox(tx, fact)),
        });
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        await together(inbox, [asking("known", "c", { key: "known" })]);
        isRefused = true;
        const messages = ["known", "new"].map((id) => asking(id, "c", { key: id }));
        expect((await together(inbox, messages)).map(({ as }) => as)).toEqual(["duplicate", "deadLettered"]);
        expect(await fixture.letters()).toEqual(["new dead noSuchProducer"]);
        expect(events.filter(({ name }) => name === "inbox.confirmationGivenUp")).toMatchObject([
          { messageId: "known", reason: "noSuchProducer" },
        ]);
        expect(await fixture.effects()).toEqual(["known"]);
      });
    });
  }),
);
