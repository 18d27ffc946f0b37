/**
 * Handlers and messages as they should not be, alone and among neighbours of one batch: what is wrong has a reason and comes again or is put aside, nothing is lost,
 * and every neighbour is handled.
 */
import { catalogue, message, type ReceivedMessage } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import { forEachDatabaseInTurn } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HandlerContext, Inbox, InboxOptions, Processed } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

/** A Standard Schema that takes orders of at least one piece. */
const atLeastOne = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: unknown) =>
      typeof value === "object" && value !== null && Number((value as { readonly pieces?: unknown }).pieces) >= 1
        ? { value: value as { readonly pieces: number } }
        : { issues: [{ message: "too few", path: ["pieces"] }] },
  },
} as const;
const strict = catalogue({
  source: "/order-service",
  counted: message({ type: "shop.order.counted.v1", topic: "orders", payload: atLeastOne }),
});

await forEachDatabaseInTurn("inbox bad input", (server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const ways = [
      ["alone", { batchMax: 1 }],
      ["among neighbours", { concurrency: 1, prefetch: 0 }],
    ] as readonly (readonly [string, Partial<InboxOptions>])[];
    /** Handles it between two others, of other keys. */
    const between = async (inbox: Inbox, bad: ReceivedMessage): Promise<Processed | undefined> => {
      const batch = [placed({ id: "before", key: "a" }), bad, placed({ id: "after", key: "c" })];
      const [before, middle, after] = await Promise.all(batch.map((one) => inbox.process({ message: one, redelivered: false })));
      expect([before?.kind, after?.kind]).toEqual(["done", "done"]);
      return middle;
    };
    const neighbours = ["after", "before"];

    const throwing = (thrown: unknown) => () => {
      throw thrown;
    };
    const handlers: readonly (readonly [string, string, (tx: Tx, context: HandlerContext) => unknown])[] = [
      ["throws undefined", "attemptsExhausted:Error", throwing(undefined)],
      ["throws null", "attemptsExhausted:Error", throwing(null)],
      ["throws text", "attemptsExhausted:Error", throwing("canary")],
      ["rejects with a number", "attemptsExhausted:Error", () => Promise.reject(7 as unknown as Error)],
      [
        "throws an error whose code is no code",
        "attemptsExhausted:Error",
        throwing(Object.assign(new Error("x"), { code: "a secret, 1" })),
      ],
      ["throws a frozen error", "attemptsExhausted:Error", throwing(Object.freeze(new Error("x")))],
    ];
    describe.each(ways)("%s", (_way, options) => {
      test.each(handlers)("a handler that %s leaves nothing and ends in a dead letter: %s", async (_what, reason, handler) => {
        const { inbox, events } = fixture.inbox({ ...options, attemptsMax: 2 });
        inbox.on(shop.orderPlaced, async ({ id }, tx, context) => {
          await fixture.effect(tx, id);
          if (id === "bad") await handler(tx, context);
        });
        const bad = placed({ id: "bad", key: "b" });
        expect(await between(inbox, bad)).toMatchObject({ kind: "again", as: "failed" });
        expect(await inbox.process({ message: bad, redelivered: true })).toMatchObject({ kind: "done", as: "deadLettered" });
        expect(await fixture.letters()).toEqual([`bad dead ${reason}`]);
        expect([...(await fixture.effects())].sort()).toEqual(neighbours);
        expect(JSON.stringify(events, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))).not.toMatch(
          /canary|a secret/,
        );
      });

      test("a handler that commits by itself is a failed attempt, never a handled message, and its id is not lost", async () => {
        const { inbox } = fixture.inbox({ ...options, attemptsMax: 2 });
        inbox.on(shop.orderPlaced, async ({ id }, tx) => {
          await fixture.effect(tx, id);
          if (id === "bad") await tx.query("commit", []);
        });
        const processed = await between(inbox, placed({ id: "bad", key: "b" }));
        expect(processed?.kind).toBe("again");
        expect((await fixture.effects()).filter((id) => id !== "bad").sort()).toEqual(neighbours);
        expect(await fixture.openTransactions()).toBe(0);
      });

      test.each([
        ["does not parse", "{"],
        ["is no object", "7"],
        ["does not fit the schema", '{"pieces":0}'],
        ["is empty", ""],
        ["is no text", Buffer.from([0xff, 0xfe])],
      ])("a payload that %s is a dead letter at once, with its bytes", async (_what, payload) => {
        const { inbox } = fixture.inbox(options);
        let calls = 0;
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        inbox.on(strict.counted, () => {
          calls += 1;
        });
        const bad = placed({ id: "bad", key: "b", type: strict.counted.type, payload: Buffer.from(payload) });
        expect(await between(inbox, bad)).toMatchObject({ kind: "done", as: "deadLettered" });
        expect(await fixture.letters()).toEqual(["bad dead payloadInvalid"]);
        expect([calls, [...(await fixture.effects())].sort()]).toEqual([0, neighbours]);
      });

      test("a version of a type that nobody knows waits in the dead letters for the deploy that knows it", async () => {
        const { inbox } = fixture.inbox(options);
        inbox.on(shop.orderPlaced, ({ id }, tx) => fixture.effect(tx, id));
        const bad = placed({ id: "bad", key: "b", type: "shop.order.placed.v2" });
        expect(await between(inbox, bad)).toMatchObject({ kind: "done", as: "deadLettered" });
        expect(await fixture.letters()).toEqual(["bad dead unknownType"]);
      });
    });
  }),
);
