import { catalogue, isWaybillError, type Message, message } from "@waybill/core";
import type { Connection } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, type Confirmations, confirm, createConfirmations, createOutbox, type UnconfirmedMessage } from "../src/index.ts";
import { type Application, type OutboxDatabase, outboxDatabase } from "./application.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: string }>({ type: "shop.note.v1", topic: "notes", key: () => "k" }),
});
const note = (n: string, id?: string): Message => shop.note({ n }, id === undefined ? {} : { id });
const ownId = "00000000-0000-4000-8000-000000000001";
const asked = { confirmBy: ["inventory", "billing"], withinMs: 60_000 } as const;

await forEachDatabase((server) =>
  describe(`confirmations on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    let confirmations: Confirmations;
    let upkeep: Connection;
    let one: Application;
    let other: Application;
    beforeAll(async () => {
      outbox = await outboxDatabase(server);
      confirmations = createConfirmations({ space: outbox.space });
      upkeep = await outbox.connect();
      one = await outbox.application();
      other = await outbox.application();
    });
    afterAll(() => outbox.drop());
    beforeEach(async () => {
      for (const { run } of [one, other]) await run("rollback");
      await outbox.clear();
    });

    const inTransaction = async <T>(work: () => Promise<T>, { run }: Application = one): Promise<T> => {
      await run("begin");
      const worked = await work();
      await run("commit");
      return worked;
    };
    const store = async (...messages: readonly Message[]): Promise<readonly string[]> =>
      inTransaction(() => append(one.handle, messages, asked));
    const confirmBy = (messageId: string | undefined, consumer: string): Promise<boolean> =>
      inTransaction(() => confirm(one.handle, { messageId: messageId ?? "", consumer }));
    const names = async (): Promise<readonly string[]> => (await outbox.ledger()).map((said) => (JSON.parse(said) as { n: string }).n);
    const waiting = async (): Promise<readonly string[]> =>
      (await outbox.run("select consumer, payload from waybill_confirmation order by payload, consumer")).map(
        (row) => `${(JSON.parse(String(row["payload"])) as { n: string }).n} ${String(row["consumer"])}`,
      );
    /** Their time is over. */
    const makeDue = (n = ""): Promise<unknown> =>
      outbox.run(
        {
          postgres: "update waybill_confirmation set due_at = clock_timestamp() - interval '1 second' where payload like ?",
          mysql: "update waybill_confirmation set due_at = utc_timestamp(6) - interval 1 second where payload like ?",
        },
        [`%${n}%`],
      );
    const givenUp: UnconfirmedMessage[] = [];
    const giveUp = (_: unknown, messages: readonly UnconfirmedMessage[]): Promise<void> => {
      givenUp.push(...messages);
      return Promise.resolve();
    };
    /** Steps until nothing is due. Answers how many messages were repeated. */
    const repeat = async (options: { readonly repeatsMax?: number; readonly rowsMax?: number } = {}): Promise<number> => {
      givenUp.length = 0;
      for (let repeated = 0; ; ) {
        const step = await confirmations.repeatDue(upkeep, { ...options, giveUp });
        repeated += step.repeated;
        if (!step.isMore) return repeated;
      }
    };

    it("a message waits for each of its consumers until it has confirmed, and says so in a header", async () => {
      const [id] = await store(note("a"));
      await store(note("b"));
      expect(await waiting()).toEqual(["a billing", "a inventory", "b billing", "b inventory"]);
      expect([await confirmBy(id, "inventory"), await confirmBy(id, "inventory")]).toEqual([true, false]);
      expect(await waiting()).toEqual(["a billing", "b billing", "b inventory"]);
      const headers = (await outbox.run("select headers from waybill_outbox")).map((row) => JSON.parse(String(row["headers"])) as object);
      expect(headers).toMatchObject([{ "confirm-by": "inventory,billing", "ce-source": "/order-service" }, {}]);
      expect(Number(await confirmations.untilDueMs(upkeep, { deadlineMs: 5_000 }))).toBeGreaterThan(1_000);
      expect(await repeat()).toBe(0);
    });

    it("headers that leave no room for the names of the consumers are refused before anything is written, and one less or a little shorter is stored", async () => {
      const many = (count: number): Readonly<Record<string, string>> =>
        Object.fromEntries(Array.from({ length: count }, (_, place) => [`h-${place}`, "x"]));
      // A line is the name, the value and four bytes around them.
      const long = (bytes: number): Readonly<Record<string, string>> => ({ h: "x".repeat(bytes - 5) });
      const added = "confirm-by: inventory,billing\r\n".length;
      await one.run("begin");
      for (const headers of [many(64), long(8_192 - added + 1)]) {
        await append(one.handle, shop.note({ n: "as many as there may be" }, { headers }));
        const refused = await append(one.handle, [note("neighbour"), shop.note({ n: "too many" }, { headers })], asked).catch(
          (error: unknown) => error,
        );
        expect(isWaybillError(refused, "WAYBILL_HEADERS_INVALID") && refused.facts.rule).toContain("confirm-by, which confirmBy adds");
      }
      for (const headers of [many(63), long(8_192 - added)]) await append(one.handle, shop.note({ n: "fits" }, { headers }), asked);
      await one.run("commit");
      expect(await names()).toEqual(["as many as there may be", "as many as there may be", "fits", "fits"]);
      expect(await waiting()).toEqual(["fits billing", "fits billing", "fits inventory", "fits inventory"]);
    });

    it("what waits is counted, with how old it is and how much of it was repeated; other streams do not count", async () => {
      const measure = () => confirmations.measure(upkeep, { deadlineMs: 5_000 });
      expect(await measure()).toEqual({ waiting: 0, repeated: 0, oldestMs: null });
      await store(note("a"), note("b"));
      await outbox.run({
        postgres: "update waybill_confirmation set created_at = created_at - interval '1 minute' where payload like '%a%'",
        mysql: "update waybill_confirmation set created_at = created_at - interval 1 minute where payload like '%a%'",
      });
      await makeDue("b");
      await repeat();
      const { oldestMs, ...counted } = await measure();
      expect(counted).toEqual({ waiting: 4, repeated: 2 });
      expect(oldestMs).toBeGreaterThanOrEqual(60_000);
      const other = createConfirmations({ space: outbox.space, stream: "other" });
      expect(await other.measure(upkeep, { deadlineMs: 5_000 })).toMatchObject({ waiting: 0 });
    });

    it("what rolls back waits for nobody, and a confirmation that rolls back is none", async () => {
      await one.run("begin");
      await append(one.handle, note("gone"), asked);
      await one.run("rollback");
      expect(await waiting()).toEqual([]);
      const [id] = await store(note("a"));
      await one.run("begin");
      expect(await confirm(one.handle, { messageId: id ?? "", consumer: "billing" })).toBe(true);
      await one.run("rollback");
      expect(await waiting()).toEqual(["a billing", "a inventory"]);
    });

    it("confirmations that are late, foreign or nonsense change nothing and are told apart", async () => {
      const [id] = await store(note("a"));
      for (const [messageId, consumer] of [
        [ownId, "inventory"],
        [id, "nobody"],
        ["no uuid", "inventory"],
        [7, "inventory"],
        [id, null],
      ] as readonly (readonly [string, string])[]) {
        expect(await confirmBy(messageId, consumer)).toBe(false);
      }
      expect(await confirmBy(id?.toUpperCase(), "inventory")).toBe(true);
      expect(await waiting()).toEqual(["a billing"]);
    });

    it("what is not confirmed in time enters the ledger again, the same, and has twice as long", async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const base = { ownId: null, type: "t.v1", topic: "odd", key: "ключ ✓", headers: new Map([["x-one", "ä"]]) };
      const payloads = ["tëxt", "nul \0 in it", bytes, null] as const;
      await inTransaction(() =>
        append(
          one.handle,
          payloads.map((payload) => ({ ...base, payload }) as unknown as Message),
          asked,
        ),
      );
      await outbox.run({
        postgres: "update waybill_confirmation set due_at = clock_timestamp() where consumer = 'billing'",
        mysql: "update waybill_confirmation set due_at = utc_timestamp(6) where consumer = 'billing'",
      });
      expect(await repeat({ rowsMax: 3 })).toBe(4);
      const isPostgres = server.dialect === "postgres";
      const bytesOf = isPostgres ? "key, encode(payload_bytes, 'hex')" : "`key`, hex(payload_bytes)";
      const rows = await outbox.run(
        `select message_id, type, topic, headers, payload, ${bytesOf} as bytes from waybill_outbox order by id`,
      );
      const byContent = (one_: Readonly<Record<string, unknown>>): string => JSON.stringify(one_);
      expect(rows.slice(4).map(byContent).sort()).toEqual(rows.slice(0, 4).map(byContent).sort());
      const inMs = Number(await confirmations.untilDueMs(upkeep, { deadlineMs: 5_000 }));
      expect(inMs).toBeGreaterThan(60_000);
      expect(inMs).toBeLessThanOrEqual(120_000);
    });

    it("what was repeated as often as it may be is given up once, whole, with those that have not confirmed", async () => {
      const [id] = await store(note("a"));
      await store(note("b"));
      await confirmBy(id, "inventory");
      for (let round = 1; round <= 2; round += 1) {
        await makeDue("a");
        expect(await repeat({ repeatsMax: 2 })).toBe(1);
      }
      await makeDue();
      expect(await repeat({ repeatsMax: 2 })).toBe(1);
      expect(givenUp).toMatchObject([
        { messageId: id, type: "shop.note.v1", topic: "notes", key: "k", payload: '{"n":"a"}', consumers: ["billing"], repeats: 2 },
      ]);
      expect([await names(), await waiting()]).toEqual([
        ["a", "b", "a", "a", "b"],
        ["b billing", "b inventory"],
      ]);
      expect(await confirmBy(id, "billing")).toBe(false);
    });

    it("if giving up fails nothing is forgotten", async () => {
      await store(note("a"));
      await makeDue();
      const fail = (): Promise<void> => Promise.reject(new Error("no dead letters"));
      await expect(confirmations.repeatDue(upkeep, { repeatsMax: 0, giveUp: fail })).rejects.toThrow("no dead letters");
      expect([await names(), await waiting()]).toEqual([["a"], ["a billing", "a inventory"]]);
    });

    it("two movers repeat each message once, and pass over what a confirmation holds", async () => {
      const ids = await store(...Array.from({ length: 20 }, (_, n) => note(`n${n}`)));
      await makeDue();
      await other.run("begin");
      await confirm(other.handle, { messageId: ids[0] ?? "", consumer: "billing" });
      await confirm(other.handle, { messageId: ids[0] ?? "", consumer: "inventory" });
      const second = await outbox.connect();
      const steps = await Promise.all(
        [upkeep, second].map(async (connection) => {
          let repeated = 0;
          for (let isMore = true; isMore; ) {
            const step = await confirmations.repeatDue(connection, { rowsMax: 6, giveUp });
            repeated += step.repeated;
            ({ isMore } = step);
          }
          return repeated;
        }),
      );
      await other.run("commit");
      const said = await names();
      expect(said.filter((name) => name === "n0")).toHaveLength(1);
      // Rows of one message may fall into two steps: then it comes once more, for its receiver to dedupe.
      expect(said.length - 20).toBe((steps[0] ?? 0) + (steps[1] ?? 0));
      expect(new Set(said.slice(20)).size).toBe(19);
    });

    it("a repeated id that is ignored waits for nobody, also not twice", async () => {
      await store(note("a", ownId));
      await inTransaction(() => append(one.handle, note("a", ownId), { ...asked, onRepeatedId: "ignore" }));
      expect(await waiting()).toEqual(["a billing", "a inventory"]);
    });

    it("each stream repeats its own, from one table", async () => {
      const two = createOutbox({ stream: "default" });
      await inTransaction(() => two.append(one.handle, note("a"), asked));
      await makeDue();
      const elsewhere = createConfirmations({ space: outbox.space, stream: "elsewhere" });
      expect(await elsewhere.untilDueMs(upkeep, { deadlineMs: 5_000 })).toBeNull();
      expect(await repeat()).toBe(1);
    });

    it.each([
      { confirmBy: ["inventory"] },
      { withinMs: 5 },
      { confirmBy: [], withinMs: 5 },
      { confirmBy: ["a", "a"], withinMs: 5 },
      { confirmBy: ["a,b"], withinMs: 5 },
      { confirmBy: "inventory", withinMs: 5 },
      { confirmBy: ["a"], withinMs: 0 },
      { confirmBy: ["a"], withinMs: 1.5 },
      { confirmBy: ["a"], withinMs: 86_400_001 },
      { confirmBy: ["a"], withinMs: 5, delayMs: 5 },
      { confirmBy: "abcdefghi".split(""), withinMs: 5 },
    ])("an option that cannot be met is refused, and nothing is written: %j", async (options) => {
      await one.run("begin");
      const error = await append(one.handle, note("a"), options as object).catch((thrown: unknown) => thrown);
      expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID")).toBe(true);
      await one.run("commit");
      expect(await names()).toEqual([]);
    });
  }),
);
