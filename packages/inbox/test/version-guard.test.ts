import { catalogue, message, type ReceivedMessage, systemClock, type WaybillEvent, wait } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { type Database, openDatabase, type Tx } from "@waybill/sql";
import { forEachDatabase, seededRandom, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HandlerOptions, Inbox, InboxOptions, Processed } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed } from "./inbox-fixture.ts";

interface Stock {
  readonly sku: string;
  readonly version: number | string;
}
const shop = catalogue({
  source: "/warehouse",
  counted: message<Stock>({ type: "stock.counted.v1", topic: "stock", key: ({ sku }) => sku, version: ({ version }) => version }),
  corrected: message<Stock>({ type: "stock.corrected.v1", topic: "stock", key: ({ sku }) => sku, version: ({ version }) => version }),
  priced: message<Stock>({
    type: "stock.priced.v1",
    topic: "stock",
    version: ({ version }) => version,
    entity: ({ sku }) => `price/${sku}`,
  }),
  plain: message<Stock>({ type: "stock.plain.v1", topic: "stock", key: ({ sku }) => sku }),
});
const handled = { kind: "done", as: "handled" };
const stale = { kind: "done", as: "stale" };
const skus = ["a", "b", "c", "d"];

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    /** What a second process would have. */
    let elsewhere: Database;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      elsewhere = openDatabase({ url: fixture.url, connections: 10 });
      await fixture.database.query("create table fact (entity varchar(20) not null primary key, version bigint not null)", []);
    });
    beforeEach(async () => {
      await fixture.clear();
      await fixture.database.execute("delete from fact", []);
      for (const sku of skus) await fixture.database.execute(fixture.sql("insert into fact (entity, version) values ($1, 0)"), [sku]);
    });
    afterAll(async () => {
      await elsewhere.close();
      await fixture.close();
    });

    /** Of key `sku` unless told otherwise. */
    const tells = (sku: string, version: number | string, over: Partial<ReceivedMessage> = {}): ReceivedMessage =>
      placed({ type: shop.counted.type, topic: "stock", key: sku, payload: Buffer.from(JSON.stringify({ sku, version })), ...over });
    /** Overwrites what is there, as a handler without a guard of its own does. */
    const overwrite = async (tx: Tx, { sku, version }: Stock): Promise<void> => {
      await tx.query(fixture.sql("update fact set version = $1 where entity = $2"), [String(version), sku]);
    };
    const facts = async (): Promise<Readonly<Record<string, string>>> => {
      const rows = await fixture.database.query("select entity, version from fact where version > 0", []);
      return Object.fromEntries(rows.map((row) => [String(row["entity"]), String(row["version"])]));
    };
    const guarding = (
      options: Partial<InboxOptions> = {},
      { staleness = "skip" }: HandlerOptions = {},
    ): { readonly inbox: Inbox; readonly events: WaybillEvent[] } => {
      const made = fixture.inbox(options);
      made.inbox.on(
        shop.counted,
        async ({ payload, id }, tx) => {
          await fixture.effect(tx, id);
          await overwrite(tx, payload);
        },
        { staleness },
      );
      return made;
    };
    const send = (inbox: Inbox, message: ReceivedMessage): Promise<Processed> => inbox.process({ message, redelivered: false });
    /** As a source does: what is in other hands comes again, when it says so. */
    const untilDone = async (inbox: Inbox, message: ReceivedMessage): Promise<Processed> => {
      for (;;) {
        const processed = await send(inbox, message);
        if (processed.kind === "done") return processed;
        expect(["disturbed", "behindItsKey"]).toContain(processed.as);
        await wait(systemClock, processed.afterMs);
      }
    };
    const together = (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> =>
      Promise.all(messages.map((message) => send(inbox, message)));
    const batching = { concurrency: 1, prefetch: 0 } as const;
    const names = (events: readonly WaybillEvent[]): readonly string[] => events.map(({ name }) => name);

    describe.each([
      ["one by one", {}],
      ["in a batch", batching],
    ] as const)("%s", (way, options) => {
      const all = async (inbox: Inbox, messages: readonly ReceivedMessage[]): Promise<readonly Processed[]> => {
        if (way === "in a batch") return together(inbox, messages);
        const processed: Processed[] = [];
        for (const message of messages) processed.push(await send(inbox, message));
        return processed;
      };

      test("an older fact and one of the same version never overwrite a newer one; each entity and each consumer has its own", async () => {
        const { inbox, events } = guarding(options);
        const messages = [
          tells("a", 2),
          tells("b", 1),
          tells("a", 1),
          tells("a", "2"),
          tells("b", "0000000000000000000003"),
          tells("a", 10),
        ];
        const expected = [handled, handled, stale, stale, handled, handled];
        expect(await all(inbox, messages)).toEqual(expected);
        expect(await facts()).toEqual({ a: "10", b: "3" });
        expect(names(events).includes("inbox.batchCommitted")).toBe(way === "in a batch");
        expect(names(events).filter((name) => name === "inbox.stale")).toHaveLength(2);
        expect(await all(inbox, messages)).toEqual(messages.map(() => ({ kind: "done", as: "duplicate" })));
        const { inbox: other } = guarding({ ...options, consumer: "other" });
        expect(await all(other, messages)).toEqual(expected);
      });

      test("versions beyond 2^53 are told apart", async () => {
        const { inbox } = guarding(options);
        const versions = ["9007199254740993", "9007199254740992", "9223372036854775807", "9223372036854775806"];
        expect(
          await all(
            inbox,
            versions.map((version) => tells("a", version)),
          ),
        ).toEqual([handled, stale, handled, stale]);
        expect(await facts()).toEqual({ a: "9223372036854775807" });
      });

      test("a version is rolled back with its handler: an older fact is new until a newer one is committed", async () => {
        const { inbox } = fixture.inbox({ ...options, attemptsMax: 1, keyPolicy: "skip" });
        inbox.on(
          shop.counted,
          async ({ payload }, tx) => {
            await overwrite(tx, payload);
            if (payload.version === 5) throw new Error("not this one");
          },
          { staleness: "skip" },
        );
        const processed = await all(inbox, [tells("a", 1), tells("a", 5), tells("a", 4), tells("a", 3)]);
        expect(processed).toEqual([handled, { kind: "done", as: "deadLettered" }, handled, stale]);
        expect(await facts()).toEqual({ a: "4" });
      });

      test("what tells of no version or no entity becomes a dead letter that says so, and its neighbours are handled", async () => {
        const { inbox } = guarding(options);
        const odd = ["-1", 1.5, "one", "", 2 ** 53].map((version, place) =>
          tells("a", version, { id: `odd ${place}`, key: `odd ${place}` }),
        );
        const messages = [
          tells("a", 1),
          ...odd,
          tells("b", 1, { id: "no key", key: null }),
          tells("b", 1, { id: "tombstone", key: "t", payload: null }),
          tells("b", 2),
        ];
        const dead = { kind: "done", as: "deadLettered" };
        expect(await all(inbox, messages)).toEqual([handled, ...odd.map(() => dead), dead, dead, handled]);
        expect([...(await fixture.letters())].sort()).toEqual([
          "no key dead versionInvalid:entity",
          ...odd.map(({ id }) => `${id} dead versionInvalid:version`),
          "tombstone dead versionInvalid:version",
        ]);
        expect(await facts()).toEqual({ a: "1", b: "2" });
      });

      test("with reject a stale message is a dead letter, also when it is redriven, and leaves nothing else", async () => {
        const { inbox } = guarding({ ...options, keyPolicy: "skip" }, { staleness: "reject" });
        const late = tells("a", 1);
        expect(await all(inbox, [tells("a", 2), late, tells("b", 1)])).toEqual([handled, { kind: "done", as: "deadLettered" }, handled]);
        await redriveDeadLetters(fixture.database, fixture.space, {}, { who: "ann", why: null });
        await inbox.redrive();
        expect(await fixture.letters()).toEqual([`${late.id} dead stale`]);
        expect(await facts()).toEqual({ a: "2", b: "1" });
        expect(await fixture.handled()).not.toContain(late.id);
      });
    });

    test("a handler that takes many gets those that are newer, in their order; if none is, it is not called", async () => {
      const { inbox } = fixture.inbox(batching);
      const calls: unknown[] = [];
      inbox.onBatch(shop.priced, (messages) => void calls.push(messages.map(({ payload: { sku, version } }) => `${sku} ${version}`)), {
        staleness: "skip",
      });
      const prices = (...versions: readonly (readonly [string, number])[]): readonly ReceivedMessage[] =>
        versions.map(([sku, version]) => tells(sku, version, { type: shop.priced.type, key: "all prices" }));
      expect(await together(inbox, prices(["a", 3], ["b", 1], ["a", 2], ["a", 4], ["b", 1]))).toEqual([
        handled,
        handled,
        stale,
        handled,
        stale,
      ]);
      expect(await together(inbox, prices(["a", 4], ["b", 1]))).toEqual([stale, stale]);
      expect(calls.flat()).toEqual(["a 3", "b 1", "a 4"]);
      expect(calls.length).toBeLessThan(3);
    });

    test("types of one topic share the versions of an entity, one with a name of its own does not, and one without a guard asks nobody", async () => {
      const { inbox } = fixture.inbox();
      const seen: string[] = [];
      inbox.on(shop.counted, ({ type }) => void seen.push(type), { staleness: "skip" });
      inbox.on(shop.corrected, ({ type }) => void seen.push(type), { staleness: "skip" });
      inbox.on(shop.priced, ({ type }) => void seen.push(type), { staleness: "skip" });
      inbox.on(shop.plain, ({ type }) => void seen.push(type));
      await send(inbox, tells("a", 2));
      expect(await send(inbox, tells("a", 1, { type: shop.corrected.type }))).toEqual(stale);
      expect(await send(inbox, tells("a", 1, { type: shop.priced.type }))).toEqual(handled);
      expect(await send(inbox, tells("a", 1, { type: shop.plain.type }))).toEqual(handled);
      expect(seen).toEqual([shop.counted.type, shop.priced.type, shop.plain.type]);
    });

    test.each([
      { first: 2, second: 1, fails: false, end: stale, kept: "2" },
      { first: 1, second: 2, fails: false, end: handled, kept: "2" },
      { first: 2, second: 1, fails: true, end: handled, kept: "1" },
    ])(
      "of two processes at one entity the second waits for the first: version $first, then $second, the first failing: $fails",
      async ({ first, second, fails, end, kept }) => {
        const { inbox } = fixture.inbox({ prefetch: 0, backoff: { firstMs: 60_000, maxMs: 60_000 } });
        let open: () => void = () => undefined;
        let isIn = false;
        const gate = new Promise<void>((resolve) => {
          open = resolve;
        });
        inbox.on(
          shop.counted,
          async ({ payload }, tx) => {
            await overwrite(tx, payload);
            isIn = true;
            await gate;
            if (fails) throw new Error("not this one");
          },
          { staleness: "skip" },
        );
        const { inbox: other, events } = guarding({ database: elsewhere, prefetch: 0 });
        const one = send(inbox, tells("a", first));
        await waitUntil(() => isIn, { what: "the first is in its handler" });
        const later = tells("a", second);
        const two = untilDone(other, later);
        await waitUntil(() => events.some(({ name }) => name === "inbox.deduped"), { what: "the second is at the version" });
        expect(await fixture.effects()).toEqual([]);
        open();
        expect([await one, await two]).toMatchObject([fails ? { kind: "again", as: "failed" } : handled, end]);
        expect(await facts()).toEqual({ a: kept });
      },
    );

    test("an entity that another process keeps for long keeps no neighbour of a batch, and uses up no attempt", async () => {
      const { inbox } = fixture.inbox({ prefetch: 0 });
      let open: () => void = () => undefined;
      let isIn = false;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      inbox.on(
        shop.counted,
        async () => {
          isIn = true;
          await gate;
        },
        { staleness: "skip" },
      );
      const first = send(inbox, tells("a", 1));
      await waitUntil(() => isIn, { what: "the other process has the entity" });
      const { inbox: other, events } = guarding({ ...batching, database: elsewhere, attemptsMax: 1, poisonAttempts: 1 });
      const messages = ["b", "a", "c"].map((sku) => tells(sku, 2));
      const all = together(other, messages);
      await waitUntil(async () => Object.keys(await facts()).length === 2, { what: "its neighbours are handled" });
      const processed = await all;
      expect(processed).toMatchObject([handled, { kind: "again", as: "disturbed" }, handled]);
      expect(names(events)).not.toContain("inbox.handlerFailed");
      expect(await fixture.count("inbox_attempt")).toBe(0);
      open();
      await first;
      expect(await send(other, messages[1] as ReceivedMessage)).toEqual(handled);
      expect(await facts()).toEqual({ a: "2", b: "2", c: "2" });
      expect(await fixture.letters()).toEqual([]);
    });

    test.each([
      ["one by one", { concurrency: 4, batchMax: 1 }],
      ["in batches", { concurrency: 2, prefetch: 0 }],
    ])("two processes that get versions of a few entities in any order end with the highest of each, %s", async (_, options) => {
      const random = seededRandom(7);
      const inboxes = [guarding(options).inbox, guarding({ ...options, database: elsewhere }).inbox];
      const messages = Array.from({ length: 200 }, () =>
        tells(skus[Math.floor(random.fraction() * skus.length)] ?? "a", 1 + Math.floor(random.fraction() * 500)),
      );
      await Promise.all(
        messages.map(async (message, place) => {
          await untilDone(inboxes[place % 2] as Inbox, message);
        }),
      );
      const highest: Record<string, string> = {};
      for (const { payload } of messages) {
        const { sku, version } = JSON.parse(Buffer.from(payload ?? []).toString()) as { sku: string; version: number };
        if (Number(highest[sku] ?? 0) < version) highest[sku] = String(version);
      }
      expect(await facts()).toEqual(highest);
      // Some were stale, or nothing was shown.
      expect((await fixture.effects()).length).toBeLessThan(200);
      expect(await fixture.handled()).toHaveLength(200);
    });

    test("a guard for messages without a version is refused where it is asked for, and one that is none, too", () => {
      const { inbox } = fixture.inbox();
      expect(() => inbox.on(shop.plain, () => undefined, { staleness: "skip" })).toThrow("needs a version");
      expect(() => inbox.on(shop.counted, () => undefined, { staleness: "drop" } as unknown as HandlerOptions)).toThrow("skip or reject");
    });
  }),
);
