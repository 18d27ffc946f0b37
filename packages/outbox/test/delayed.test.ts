import { catalogue, isWaybillError, type Message, message, newMessageId } from "@waybill/core";
import type { Connection } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  append,
  cancel,
  createDelayedMessages,
  createOutbox,
  type DelayedMessages,
  nothingPassedOver,
  removeHistory,
} from "../src/index.ts";
import { type Application, type OutboxDatabase, outboxDatabase } from "./application.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: string; readonly key?: string }>({ type: "shop.note.v1", topic: "notes", key: ({ key }) => key ?? "" }),
  loose: message<{ readonly n: string }>({ type: "shop.loose.v1", topic: "notes" }),
});
/** Payloads say who they are, as `{"n":"…"}`; a key is in them as well. */
const note = (n: string, key?: string, id?: string): Message => {
  const options = id === undefined ? {} : { id };
  return key === undefined ? shop.loose({ n }, options) : shop.note({ n, key }, options);
};
const ownId = "00000000-0000-4000-8000-000000000001";
const at = (ms: number): { readonly deliverAt: Date } => ({ deliverAt: new Date(ms) });
const { find } = createOutbox();

await forEachDatabase((server) =>
  describe(`delayed messages on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    let delayed: DelayedMessages;
    let upkeep: Connection;
    let one: Application;
    let other: Application;

    beforeAll(async () => {
      outbox = await outboxDatabase(server);
      delayed = createDelayedMessages({ space: outbox.space });
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
    const store = (message: Message | readonly Message[], options: Parameters<typeof append>[2]): Promise<readonly string[]> =>
      inTransaction(() => append(one.handle, message, options));
    /** A whole pass, as a relay makes it. Answers how many steps it took. */
    const pass = async (messagesMax?: number): Promise<number> => {
      let passedOver = nothingPassedOver;
      for (let steps = 1; ; steps += 1) {
        const step = await delayed.moveDue(upkeep, { passedOver, ...(messagesMax === undefined ? {} : { messagesMax }) });
        if (step.kind === "busy" || !step.isMore) return steps;
        passedOver = step.passedOver;
      }
    };
    const names = async (table?: string): Promise<readonly string[]> =>
      (await outbox.ledger(table)).map((said) => (JSON.parse(said) as { n: string }).n);
    const waiting = (): Promise<readonly string[]> => names("waybill_outbox_delayed");

    it("what is due enters the ledger in the order of its due times, then of appending, and nothing else does", async () => {
      await store([note("b1", "k"), note("b2", "k")], at(2_000));
      await store(note("c"), at(3_000));
      await store(note("a", "k"), at(1_000));
      await store(note("later"), { delayMs: 60_000 });
      expect(await pass(2)).toBe(3);
      expect(await names()).toEqual(["a", "b1", "b2", "c"]);
      expect(await waiting()).toEqual(["later"]);
      const dueInMs = await delayed.untilDueMs(upkeep, { deadlineMs: 5_000 });
      expect(dueInMs).toBeGreaterThan(30_000);
      expect(dueInMs).toBeLessThanOrEqual(60_000);
    });

    it("everything about a message comes through as it was given: key, headers, text with U+0000, bytes, a tombstone", async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const base = { ownId: null, type: "t.v1", topic: "odd", key: "ключ ✓", headers: new Map([["x-one", "ä"]]) };
      const payloads = ["tëxt", "nul \0 in it", bytes, null] as const;
      await store(
        payloads.map((payload) => ({ ...base, payload }) as unknown as Message),
        { delayMs: 0 },
      );
      await inTransaction(() =>
        append(
          one.handle,
          payloads.map((payload) => ({ ...base, payload }) as unknown as Message),
        ),
      );
      await pass();
      const columns = `type, topic, headers, payload, ${server.dialect === "postgres" ? "key, encode(payload_bytes, 'hex')" : "`key`, hex(payload_bytes)"} as bytes`;
      const rows = await outbox.run(`select ${columns} from waybill_outbox order by id`);
      expect(rows).toHaveLength(8);
      expect(rows.slice(4)).toEqual(rows.slice(0, 4));
    });

    it("a delay is counted by the database, to the millisecond, from the statement on", async () => {
      await store(note("n"), { delayMs: 3_650 * 86_400_000 });
      await store(note("m"), at(1_700_000_000_123));
      const due =
        server.dialect === "postgres" ? "extract(epoch from due_at)" : "timestampdiff(microsecond, '1970-01-01', due_at) / 1000000";
      const nowSeconds =
        server.dialect === "postgres"
          ? "extract(epoch from clock_timestamp())"
          : "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000000";
      const rows = await outbox.run(`select ${due} as due, ${nowSeconds} as now from waybill_outbox_delayed order by due_at`);
      expect(Number(rows[0]?.["due"])).toBe(1_700_000_000.123);
      const aheadSeconds = Number(rows[1]?.["due"]) - Number(rows[1]?.["now"]);
      expect(aheadSeconds).toBeGreaterThan(3_650 * 86_400 - 60);
      expect(aheadSeconds).toBeLessThanOrEqual(3_650 * 86_400);
    });

    it("a delayed message that rolls back never enters the ledger", async () => {
      await one.run("begin");
      const [id] = await append(one.handle, note("gone"), { delayMs: 0 });
      await pass();
      await one.run("rollback");
      await pass();
      expect(await names()).toEqual([]);
      expect(await find(outbox.database, id as string)).toBe("notAppended");
    });

    it("the same id is caught, delayed or not, before and after it entered the ledger", async () => {
      const again = async (content: string, options: Parameters<typeof append>[2]): Promise<unknown> => {
        await one.run("begin");
        const thrown = await append(one.handle, note(content, "k", ownId), options).catch((error: unknown) => error);
        await one.run("rollback");
        return isWaybillError(thrown, "WAYBILL_MESSAGE_ID_REPEATED") ? thrown.facts.isSameContent : thrown;
      };
      await store(note("first", "k", ownId), { delayMs: 0 });
      for (const when of ["waiting", "moved"]) {
        expect(await again("first", { delayMs: 5 }), when).toBe(true);
        expect(await again("first", {}), when).toBe(true);
        expect(await again("other", { delayMs: 5 }), when).toBe(false);
        expect(await again("other", {}), when).toBe(false);
        expect(await again("first", { delayMs: 5, onRepeatedId: "ignore" }), when).toEqual([ownId]);
        await pass();
      }
      await outbox.clear();
      await store(note("first", "k", ownId), {});
      expect(await again("first", { delayMs: 5 })).toBe(true);
      expect(await names()).toEqual(["first"]);
    });

    it("asked for by its id, a delayed message was appended: while it waits, when it is in the ledger, and when it was cancelled", async () => {
      const [id] = (await store(note("n"), { delayMs: 0 })) as [string];
      const [cancelled] = (await store(note("m"), { delayMs: 60_000 })) as [string];
      expect(await find(outbox.database, id)).toBe("appended");
      await pass();
      expect(await inTransaction(() => cancel(one.handle, cancelled))).toBe(true);
      expect(await Promise.all([id, cancelled].map((each) => find(outbox.database, each)))).toEqual(["appended", "appended"]);
      expect(await find(outbox.database, newMessageId())).toBe("notAppended");
    });

    it("while its transaction is open nobody knows whether a delayed message was appended", async () => {
      await one.run("begin");
      const [id] = (await append(one.handle, note("n"), { delayMs: 60_000 })) as [string];
      expect(await find(outbox.database, id, { deadlineMs: 100 })).toBe("undecided");
      await one.run("commit");
      expect(await find(outbox.database, id)).toBe("appended");
    });

    it("a cancelled message is never published; one whose cancelling rolls back is; one that was moved is too late to cancel", async () => {
      const [kept, gone, moved] = (await store([note("kept", "k"), note("gone", "k"), note("moved", "k")], at(1_000))) as [
        string,
        string,
        string,
      ];
      await one.run("begin");
      expect(await cancel(one.handle, kept)).toBe(true);
      expect(await cancel(one.handle, kept)).toBe(false);
      await one.run("rollback");
      expect(await inTransaction(() => cancel(one.handle, gone))).toBe(true);
      expect(await inTransaction(() => cancel(one.handle, gone))).toBe(false);
      await pass();
      expect(await names()).toEqual(["kept", "moved"]);
      expect(await inTransaction(() => cancel(one.handle, moved))).toBe(false);
      expect(await inTransaction(() => cancel(one.handle, newMessageId()))).toBe(false);
    });

    it("while a message is being cancelled, it and what follows in its key wait; other messages do not", async () => {
      const [first] = (await store([note("k1", "k"), note("k2", "k"), note("other", "o"), note("loose")], at(1_000))) as [string];
      await one.run("begin");
      expect(await cancel(one.handle, first)).toBe(true);
      await pass();
      expect(await names()).toEqual(["other", "loose"]);
      await one.run("rollback");
      await pass();
      expect(await names()).toEqual(["other", "loose", "k1", "k2"]);
    });

    it("a cancel that meets the mover waits for it, and is told that it was too late", async () => {
      const [id] = (await store(note("n"), at(1_000))) as [string];
      let asked: Promise<boolean> | undefined;
      await one.run("begin");
      const outcome = await outbox.database.unitOfWork(
        async (tx) => {
          await delayed.moveDue(
            { unitOfWork: async (work) => ({ kind: "committed", value: await work(tx) }) },
            { passedOver: nothingPassedOver },
          );
          asked = cancel(one.handle, id);
          asked.catch(() => undefined);
          await waitUntil(async () => (await lockWaits()) > 0, { what: "cancel waits for the mover" });
        },
        { operation: "a mover that takes its time" },
      );
      expect(outcome.kind).toBe("committed");
      expect(await asked).toBe(false);
      await one.run("commit");
      expect(await names()).toEqual(["n"]);
    });

    const lockWaits = async (): Promise<number> => {
      const [row] = await outbox.run({
        postgres: "select count(*) as waits from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        mysql: `select count(*) as waits from information_schema.processlist
                where db = database() and id <> connection_id() and info like '%for update%'`,
      });
      return Number(row?.["waits"]);
    };

    it("what holds the lock of a key, and may have an id already, is not overtaken by a delayed message of that key; other keys are moved", async () => {
      await store([note("k delayed", "k"), note("other", "o")], at(1_000));
      await one.run("begin");
      await append(one.handle, note("k at once", "k"), { serialiseKey: true });
      await pass();
      expect(await names()).toEqual(["other"]);
      await one.run("commit");
      await pass();
      expect(await names()).toEqual(["k at once", "other", "k delayed"]);
    });

    it("messages behind a thousand of a held key are moved all the same", async () => {
      await store(
        Array.from({ length: 1_200 }, (_, n) => note(`held ${n}`, "held")),
        at(1_000),
      );
      await store(note("behind", "free"), at(2_000));
      await one.run("begin");
      await append(one.handle, note("now", "held"), { serialiseKey: true });
      await pass(500);
      await one.run("rollback");
      expect(await names()).toEqual(["behind"]);
    });

    it("two movers at once move each message once, in its order", async () => {
      await store(
        Array.from({ length: 600 }, (_, n) => note(`${n}`, `k${n % 7}`)),
        at(1_000),
      );
      const second = await outbox.connect();
      const move = async (connection: Connection): Promise<void> => {
        for (;;) {
          const step = await delayed.moveDue(connection, { passedOver: nothingPassedOver, messagesMax: 50 });
          if (step.kind === "moved" && step.messages === 0) return;
        }
      };
      await Promise.all([move(upkeep), move(second)]);
      expect(await names()).toEqual(Array.from({ length: 600 }, (_, n) => `${n}`));
      expect(await waiting()).toEqual([]);
    });

    it("while somebody does upkeep on the stream, the mover is told that it is busy", async () => {
      await store(note("n"), at(1_000));
      await one.run("begin");
      await one.run("select name from waybill_stream where name = 'default' for update");
      expect(await delayed.moveDue(upkeep, { passedOver: nothingPassedOver })).toEqual({ kind: "busy" });
      await one.run("rollback");
    });

    it("a step is short for whoever waits for one of its keys: 250 messages", async () => {
      await store(
        Array.from({ length: 260 }, (_, n) => note(`${n}`, `k${n}`)),
        at(1_000),
      );
      expect(await delayed.moveDue(upkeep, { passedOver: nothingPassedOver })).toMatchObject({ messages: 250, isMore: true });
      expect(await pass()).toBe(1);
    });

    it("a step has a bound in bytes", async () => {
      const large = { ownId: null, type: "t.v1", topic: "large", key: null, headers: new Map(), payload: "x".repeat(900_000) };
      for (let n = 0; n < 6; n += 1) await store(large as unknown as Message, at(1_000));
      const step = await delayed.moveDue(upkeep, { passedOver: nothingPassedOver });
      expect(step).toMatchObject({ kind: "moved", messages: 1, isMore: true });
      expect(await pass()).toBe(5);
      expect(await outbox.ledger()).toHaveLength(6);
    });

    it("a row by hand that the ledger would refuse, or read as a fence, is refused at once", async () => {
      const columns = "(due_at, type, topic, payload)";
      const due = server.dialect === "postgres" ? "clock_timestamp()" : "utc_timestamp(6)";
      await expect(outbox.run(`insert into waybill_outbox_delayed ${columns} values (${due}, '', '', 'x')`)).rejects.toThrow();
      await expect(
        outbox.run(`insert into waybill_outbox_delayed ${columns} values (${due}, 't', 't', repeat('x', 1000001))`),
      ).rejects.toThrow();
      await outbox.run(`insert into waybill_outbox_delayed ${columns} values (${due}, 't.v1', 't', '{"n":"by hand"}')`);
      await pass();
      expect(await names()).toEqual(["by hand"]);
    });

    it("a claim lives as long after the message is due as any other", async () => {
      await store(note("n", "k", ownId), { delayMs: 30 * 86_400_000 });
      const days =
        server.dialect === "postgres"
          ? "extract(epoch from created_at - clock_timestamp()) / 86400"
          : "timestampdiff(second, utc_timestamp(), created_at) / 86400";
      const [row] = await outbox.run(`select ${days} as days from waybill_outbox_id`);
      expect(Math.round(Number(row?.["days"]))).toBe(30);
    });

    it("a claim of a message that was due long ago is kept as long as any other: a repeat is noticed", async () => {
      await store(note("n", "k", ownId), at(1_000));
      await pass();
      await removeHistory(upkeep, { space: outbox.space, lowWaterMark: async () => 0n });
      const thrown = await store(note("n", "k", ownId), at(1_000)).catch((error: unknown) => error);
      expect(isWaybillError(thrown, "WAYBILL_MESSAGE_ID_REPEATED")).toBe(true);
      await one.run("rollback");
      expect(await waiting()).toEqual([]);
    });

    it.each([
      ["deliverAt", { deliverAt: new Date(Number.NaN) }],
      ["deliverAt", { deliverAt: new Date("9999-01-01") }],
      ["deliverAt", { deliverAt: 1_700_000_000 as unknown as Date }],
      ["delayMs", { delayMs: -1 }],
      ["delayMs", { delayMs: 0.5 }],
      ["delayMs", { delayMs: 3_651 * 86_400_000 }],
      ["delayMs", { delayMs: 1, deliverAt: new Date("2026-01-01") }],
    ])("a time that makes no sense is refused before anything is written: %s %o", async (option, options) => {
      await one.run("begin");
      const thrown = await append(one.handle, note("n"), options).catch((error: unknown) => error);
      await one.run("commit");
      expect(isWaybillError(thrown, "WAYBILL_CONFIG_INVALID") && thrown.facts.problems.map((problem) => problem.option)).toEqual([option]);
      expect(await waiting()).toEqual([]);
    });
  }),
);
