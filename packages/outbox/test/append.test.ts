import { catalogue, isWaybillError, type Message, message, type WaybillErrorCode } from "@waybill/core";
import { type Connection, namespace, type Tx } from "@waybill/sql";
import { forEachPostgres, waitUntil } from "@waybill/testing";
import knexFactory, { type Knex } from "knex";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, createOutbox, type LedgerRow } from "../src/index.ts";
import { type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

interface OrderPlaced {
  readonly orderId: string;
  readonly totalCents: number;
}

const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
  labelPrinted: message<Uint8Array | string>({ type: "shop.label.printed.v1", topic: "labels", contentType: "text/plain" }),
});
const placed = (orderId: string, id?: string): Message => shop.orderPlaced({ orderId, totalCents: 100 }, id === undefined ? {} : { id });
const ownId = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

async function refusal<Code extends WaybillErrorCode>(code: Code, promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!isWaybillError(error, code)) throw new Error(`Expected ${code}`, { cause: error });
  return error.facts;
}

forEachPostgres((server) =>
  describe(`append on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let connection: Connection;
    let knex: Knex;
    let client: pg.Client;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      connection = await fixture.connect();
      client = await fixture.client();
      knex = knexFactory({ client: "pg", connection: fixture.url });
      await fixture.run("create table orders (id text primary key)");
    });
    afterAll(async () => {
      await knex.destroy();
      await fixture.drop();
    });
    beforeEach(() => fixture.clear());

    const rows = async (): Promise<readonly LedgerRow[]> =>
      (await fixture.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 20_000, areHolesOnly: false, deadlineMs: 5_000 })).rows;
    const keys = async (): Promise<readonly (string | null)[]> => (await rows()).map(({ key }) => key);
    const inTransaction = async <T>(work: () => Promise<T>, end: "commit" | "rollback" = "commit"): Promise<T> => {
      await client.query("begin");
      try {
        return await work();
      } finally {
        await client.query(end);
      }
    };

    it("a message appended in a committed transaction is in the ledger as it was made", async () => {
      const [id] = await inTransaction(() =>
        append(client, shop.orderPlaced({ orderId: "o-1", totalCents: 5 }, { headers: { "x-tenant": "é" } })),
      );
      const [row] = await rows();
      expect(row).toMatchObject({
        messageId: id,
        type: "shop.order.placed.v1",
        topic: "orders",
        key: "o-1",
        payload: Buffer.from('{"orderId":"o-1","totalCents":5}'),
        isText: true,
      });
      expect(JSON.parse(row?.headers ?? "")).toEqual({
        "ce-source": "/order-service",
        "content-type": "application/json",
        "x-tenant": "é",
      });
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    });

    it("the trace of a message is stored with it", async () => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      await inTransaction(() =>
        append(client, shop.orderPlaced({ orderId: "o-1", totalCents: 5 }, { trace: { traceparent, tracestate: "a=1" } })),
      );
      expect(JSON.parse((await rows())[0]?.headers ?? "")).toMatchObject({ traceparent, tracestate: "a=1" });
    });

    it("a message appended in a rolled-back transaction is never in the ledger", async () => {
      await inTransaction(() => append(client, placed("gone")), "rollback");
      await expect(
        knex.transaction(async (trx) => {
          await append(trx, placed("gone, too"));
          throw new Error("changed our mind");
        }),
      ).rejects.toThrow("changed our mind");
      expect(await keys()).toEqual([]);
    });

    it("a rollback to a savepoint takes what was appended after it, and only that", async () => {
      await inTransaction(async () => {
        await append(client, placed("before"));
        await client.query("savepoint s");
        await append(client, placed("inside"));
        await client.query("rollback to savepoint s");
        await append(client, placed("after"));
      });
      expect(await keys()).toEqual(["before", "after"]);
    });

    it("a knex transaction, nested or not, joins like a client", async () => {
      await knex.transaction(async (trx) => {
        await trx("orders").insert({ id: "k-1" });
        await append(trx, placed("k-1"), placed("k-2"));
        await trx.transaction((nested) => append(nested, placed("k-3")));
        await trx
          .transaction(async (nested) => {
            await append(nested, placed("k-4"));
            throw new Error("only this part");
          })
          .catch(() => undefined);
      });
      expect(await keys()).toEqual(["k-1", "k-2", "k-3"]);
      expect(await fixture.run("select id from orders where id = 'k-1'")).toHaveLength(1);
    });

    it("a Tx of the caller's own making joins, too, and gets scalars only", async () => {
      const seen: unknown[] = [];
      const tx: Tx = {
        dialect: "postgres",
        query: async (sql, values) => {
          seen.push(...values);
          return (await client.query(sql, [...values])).rows as Record<string, unknown>[];
        },
      };
      await inTransaction(() => append(tx, [placed("a"), placed("b", ownId(1))], { serialiseKey: true }));
      expect(await keys()).toEqual(["a", "b"]);
      expect(seen.every((value) => value === null || ["string", "number"].includes(typeof value) || value instanceof Uint8Array)).toBe(
        true,
      );
    });

    it("one statement for one message, for many, and for ids of the caller's own; one more per locked key", async () => {
      let statements = 0;
      const counting: Tx = {
        dialect: "postgres",
        query: async (sql, values) => {
          statements += 1;
          return (await client.query(sql, [...values])).rows as Record<string, unknown>[];
        },
      };
      const count = async (work: () => Promise<unknown>): Promise<number> => {
        statements = 0;
        await inTransaction(work);
        return statements;
      };
      const many = Array.from({ length: 3_000 }, (_, index) => placed(String(index % 7)));
      expect(await count(() => append(counting, placed("a")))).toBe(1);
      expect(await count(() => append(counting, many))).toBe(1);
      expect(await count(() => append(counting, placed("a", ownId(1)), placed("b"), placed("c", ownId(2))))).toBe(1);
      expect(await count(() => append(counting, [placed("a"), placed("b"), placed("a")], { serialiseKey: true }))).toBe(3);
      expect(await count(() => append(counting))).toBe(0);
    });

    it("500 messages of one transaction keep their order, in one call and in many", async () => {
      const wanted = Array.from({ length: 500 }, (_, index) => `m-${index}`);
      const ids = await inTransaction(async () => [
        ...(await append(client, ...wanted.slice(0, 200).map((key) => placed(key)))),
        ...(await append(
          client,
          wanted.slice(200, 400).map((key, index) => placed(key, index % 3 === 0 ? ownId(1_000 - index) : undefined)),
        )),
        ...(await wanted
          .slice(400)
          .reduce<Promise<string[]>>(
            async (before, key) => [...(await before), ...(await append(client, placed(key)))],
            Promise.resolve([]),
          )),
      ]);
      const stored = await rows();
      expect(stored.map(({ key }) => key)).toEqual(wanted);
      expect(stored.map(({ messageId }) => messageId)).toEqual(ids);
    });

    it("more messages than fit one statement go in several, in order", async () => {
      const many = Array.from({ length: 5_500 }, (_, index) => placed(`m-${index}`, index === 5_400 ? ownId(1) : undefined));
      const ids = await inTransaction(() => append(client, many));
      expect((await rows()).map(({ messageId }) => messageId)).toEqual(ids);
    });

    it("the same message appended twice is two messages: an id is made at append", async () => {
      const twice = placed("twice");
      const ids = await inTransaction(() => append(client, twice, twice));
      expect(new Set(ids).size).toBe(2);
      expect(await keys()).toEqual(["twice", "twice"]);
    });

    it("a message is known by its id, not by its place: a restored ledger gives places out again", async () => {
      await inTransaction(() => append(client, placed("before")));
      const [before] = await rows();
      await fixture.clear();
      await inTransaction(() => append(client, placed("after")));
      const [after] = await rows();
      expect(after?.id).toBe(before?.id);
      expect(after?.messageId).not.toBe(before?.messageId);
    });

    it.each<[string, string | Uint8Array | null]>([
      ["odd JSON", '{"b":1.0,"a":1,"a":2,  "big":12345678901234567890,"e":1e400}'],
      ["text with U+0000", "before\0after\0"],
      ["text beyond the basic plane, line ends and quotes", "😀 é \r\n\t ' \" \\ $1 ? \\? {} ﻿"],
      ["every byte", Uint8Array.from({ length: 256 }, (_, index) => index)],
      ["a part of a larger buffer", Buffer.from("xxabcxx").subarray(2, 5)],
      ["no bytes", new Uint8Array()],
      ["empty text", ""],
      ["a tombstone", null],
      ["900 000 bytes", "x".repeat(900_000)],
    ])("the payload comes out byte by byte: %s", async (_, payload) => {
      const hex = (given: string | Uint8Array | null | undefined): string | null =>
        given === null || given === undefined ? null : Buffer.from(given as string).toString("hex");
      for (const handle of ["pg", "knex"]) {
        await fixture.clear();
        const made = { ...shop.labelPrinted("x"), payload };
        if (handle === "pg") await inTransaction(() => append(client, made));
        else await knex.transaction((trx) => append(trx, made));
        const [row] = await fixture.ledger.readIds(connection, [1n], { deadlineMs: 5_000 });
        expect(row).toBeDefined();
        expect(hex(row?.payload) === hex(payload)).toBe(true); // not toEqual: it walks a million bytes one by one
        expect(row?.isText).toBe(typeof payload === "string" && !payload.includes("\0"));
      }
    });

    describe("ids of the caller's own", () => {
      it("a repeated id is an error that leaves the transaction usable, and the others of the call in it", async () => {
        await inTransaction(() => append(client, placed("a", ownId(1))));
        await inTransaction(async () => {
          const facts = await refusal(
            "WAYBILL_MESSAGE_ID_REPEATED",
            append(client, placed("a", ownId(1)), placed("b"), placed("c", ownId(2))),
          );
          expect(facts).toEqual({ messageId: ownId(1), isSameContent: true });
          await append(client, placed("d"));
        });
        expect(await keys()).toEqual(["a", "b", "c", "d"]);
      });

      it("a repeated id is a no-op where that is asked for, and answers the id", async () => {
        const ids = [ownId(1), ownId(2)];
        const messages = [placed("a", ownId(1)), placed("b", ownId(2))];
        expect(await inTransaction(() => append(client, messages, { onRepeatedId: "ignore" }))).toEqual(ids);
        expect(await inTransaction(() => append(client, messages, { onRepeatedId: "ignore" }))).toEqual(ids);
        expect(await keys()).toEqual(["a", "b"]);
      });

      it("twice inside one transaction is a repeat, too", async () => {
        await inTransaction(async () => {
          await append(client, placed("a", ownId(1)));
          expect(await append(client, placed("a", ownId(1)), { onRepeatedId: "ignore" })).toEqual([ownId(1)]);
          await refusal("WAYBILL_MESSAGE_ID_REPEATED", append(client, placed("a", ownId(1))));
          await append(client, placed("b"));
        });
        expect(await keys()).toEqual(["a", "b"]);
      });

      it("twice inside one call is a repeat, too", async () => {
        await inTransaction(async () => {
          const same = [placed("a", ownId(1)), placed("a", ownId(1))];
          expect(await append(client, same, { onRepeatedId: "ignore" })).toEqual([ownId(1), ownId(1)]);
          const facts = await refusal(
            "WAYBILL_MESSAGE_ID_REPEATED",
            append(client, [placed("b", ownId(2)), placed("c", ownId(2))], { onRepeatedId: "ignore" }),
          );
          expect(facts).toEqual({ messageId: ownId(2), isSameContent: false });
        });
        expect(await keys()).toEqual(["a", "b"]);
      });

      it("other content under the same id is always an error", async () => {
        await inTransaction(() => append(client, placed("a", ownId(1))));
        await inTransaction(async () => {
          const facts = await refusal("WAYBILL_MESSAGE_ID_REPEATED", append(client, placed("b", ownId(1)), { onRepeatedId: "ignore" }));
          expect(facts).toEqual({ messageId: ownId(1), isSameContent: false });
          await client.query("insert into orders (id) values ('still usable')");
        });
        expect(await keys()).toEqual(["a"]);
      });

      it("an id that was claimed in a rolled-back transaction is free again", async () => {
        await inTransaction(() => append(client, placed("a", ownId(1))), "rollback");
        await inTransaction(() => append(client, placed("a", ownId(1))));
        expect(await keys()).toEqual(["a"]);
      });

      it.each(["same", "other"] as const)(
        "an id that another transaction claims meanwhile is waited for, and its content compared: %s",
        async (content) => {
          const other = await fixture.client();
          await other.query("begin");
          await append(other, placed("a", ownId(1)));
          await client.query("begin");
          const repeated = refusal("WAYBILL_MESSAGE_ID_REPEATED", append(client, placed(content === "same" ? "a" : "b", ownId(1))));
          await waitUntil(
            async () =>
              (
                await fixture.run(
                  "select 1 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database()) or (not granted and locktype = 'transactionid')",
                )
              ).length > 0,
            { what: "the second claim waits" },
          );
          await other.query("commit");
          expect(await repeated).toEqual({ messageId: ownId(1), isSameContent: content === "same" });
          await append(client, placed("c"));
          await client.query("commit");
          expect(await keys()).toEqual(["a", "c"]);
        },
      );

      it("an upper-case id is the same id", async () => {
        const id = "ABCDEF00-0000-4000-8000-00000000000A";
        expect(await inTransaction(() => append(client, placed("a", id)))).toEqual([id.toLowerCase()]);
        await inTransaction(() => refusal("WAYBILL_MESSAGE_ID_REPEATED", append(client, placed("a", id.toLowerCase()))));
      });
    });

    describe("serialiseKey", () => {
      const highestId = async (): Promise<bigint> => (await fixture.ledger.facts(connection, { deadlineMs: 5_000 })).highestId;
      const isWaiting = async (): Promise<boolean> =>
        (
          await fixture.run(
            "select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())",
          )
        ).length > 0;

      it("the second transaction of a key waits before it is given an id, so that order in the ledger is order of commits", async () => {
        const [first, second] = [await fixture.client(), await fixture.client()];
        await first.query("begin");
        await second.query("begin");
        await append(first, [placed("k")], { serialiseKey: true });
        const waiting = append(second, [placed("other"), placed("k")], { serialiseKey: true });
        await waitUntil(isWaiting, { what: "the second transaction waits for the key" });
        expect(await highestId()).toBe(1n);
        await append(first, placed("k, later"));
        await first.query("commit");
        await waiting;
        await second.query("commit");
        expect(await keys()).toEqual(["k", "k, later", "other", "k"]);
      });

      it("why before: a lock taken inside the insert waits with an id in hand", async () => {
        const [first, second] = [await fixture.client(), await fixture.client()];
        await first.query("begin");
        await second.query("begin");
        await append(first, [placed("k")], { serialiseKey: true });
        const waiting = second.query(
          "insert into waybill_outbox (type, topic, key) values ('t', 'orders', 'k' || pg_advisory_xact_lock(hashtextextended('orders k', 0))::text)",
        );
        await waitUntil(isWaiting, { what: "the insert waits" });
        expect(await highestId()).toBe(2n);
        await first.query("commit");
        await waiting;
        await second.query("rollback");
      });

      it("other keys, and the same key of another topic, do not wait", async () => {
        const [first, second] = [await fixture.client(), await fixture.client()];
        await first.query("begin");
        await second.query("begin");
        await append(first, [placed("k")], { serialiseKey: true });
        await append(second, [placed("k2"), { ...placed("k"), topic: "payments" }, { ...placed("k"), key: null }], { serialiseKey: true });
        await second.query("commit");
        await first.query("commit");
        expect(await keys()).toEqual(["k", "k2", "k", null]);
      });

      it("transactions that lock the same keys in another order do not run into a deadlock", async () => {
        const clients = await Promise.all(Array.from({ length: 6 }, () => fixture.client()));
        await Promise.all(
          clients.map(async (own, index) => {
            for (let round = 0; round < 10; round += 1) {
              await own.query("begin");
              const messages = [placed("a"), placed("b"), placed("c")];
              await append(own, index % 2 === 0 ? messages : messages.reverse(), { serialiseKey: true });
              await own.query("commit");
            }
          }),
        );
        expect(await keys()).toHaveLength(180);
      });
    });

    describe("what is no transaction", () => {
      it("a pool, a bare knex, a client outside a transaction and a finished transaction are refused, and nothing is written", async () => {
        const pool = new pg.Pool({ connectionString: fixture.url, max: 1 });
        const finished = await knex.transaction();
        await finished.commit();
        for (const [handle, what] of [
          [pool, "pool"],
          [knex, "knex"],
          [client, "autocommit"],
          [finished, "finished"],
          [null, "unknown"],
        ] as const) {
          expect(await refusal("WAYBILL_NOT_IN_TRANSACTION", append(handle as never, placed("nowhere")))).toEqual({ handle: what });
        }
        await pool.end();
        expect(await keys()).toEqual([]);
      });
    });

    it("a message that was put together by hand and breaks a rule is refused before anything is sent", async () => {
      const tx: Tx = { dialect: "postgres", query: () => Promise.reject(new Error("never asked")) };
      await refusal("WAYBILL_MESSAGE_INVALID", append(tx, placed("fine"), { ...placed("a"), topic: "" }));
      await refusal("WAYBILL_MESSAGE_INVALID", append(tx, { ...placed("a"), payload: "\ud800" }));
    });

    it("another schema, prefix and stream", async () => {
      await fixture.run("create schema app");
      await fixture.run("create table app.acme_audit_outbox (like waybill_outbox including identity including defaults)");
      const outbox = createOutbox({ schema: "app", prefix: "acme_", stream: "audit" });
      await inTransaction(() => outbox.append(client, placed("elsewhere")));
      expect(await keys()).toEqual([]);
      expect(await fixture.run("select key from app.acme_audit_outbox")).toEqual([{ key: "elsewhere" }]);
      await fixture.run("drop schema app cascade");
      expect(namespace("postgres").prefix).toBe("waybill_");
    });
  }),
);
