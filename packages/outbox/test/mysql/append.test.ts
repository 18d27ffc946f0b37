import { catalogue, isWaybillError, type Message, message, type WaybillErrorCode } from "@waybill/core";
import { type Connection, type Row, type Tx, toTx } from "@waybill/sql";
import { forEachMysql, waitUntil } from "@waybill/testing";
import knexFactory, { type Knex } from "knex";
import type { Connection as Client } from "mysql2/promise";
import mysql from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, createOutbox, type LedgerRow } from "../../src/index.ts";
import { keyLockOf } from "../../src/mysql/append.ts";
import { type MysqlFixture, mysqlFixture } from "./mysql-fixture.ts";

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

await forEachMysql((server) =>
  describe(`append on ${server.name}`, () => {
    let fixture: MysqlFixture;
    let connection: Connection;
    let knex: Knex;
    let client: Client;

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
      connection = await fixture.connect();
      client = await fixture.client();
      knex = knexFactory({ client: "mysql2", connection: fixture.url });
      await fixture.run("create table orders (id varchar(40) primary key)");
    });
    afterAll(async () => {
      await knex.destroy();
      await fixture.drop();
    });
    beforeEach(() => fixture.clear());

    const rows = async (): Promise<readonly LedgerRow[]> =>
      (await fixture.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 20_000, areHolesOnly: false, deadlineMs: 10_000 })).rows;
    const keys = async (): Promise<readonly (string | null)[]> => (await rows()).map(({ key }) => key);
    const inTransaction = async <T>(work: () => Promise<T>, end: "commit" | "rollback" = "commit"): Promise<T> => {
      await client.beginTransaction();
      try {
        return await work();
      } finally {
        await client.query(end);
      }
    };
    const waitsForLock = (waiting: Client): Promise<unknown> =>
      waitUntil(
        async () =>
          (
            await fixture.run("select 1 from information_schema.innodb_trx where trx_mysql_thread_id = ? and trx_state = 'LOCK WAIT'", [
              waiting.threadId,
            ])
          ).length > 0,
        // The server refreshes what it tells of transactions only when nobody has asked for a tenth of a second.
        { what: "a session waits for a lock", deadlineMs: 30_000, intervalMs: 150 },
      );

    it("a message appended in a committed transaction is in the ledger as it was made", async () => {
      const [id] = await inTransaction(() =>
        append(client, shop.orderPlaced({ orderId: "o-1", totalCents: 5 }, { headers: { "x-tenant": "é" } })),
      );
      const [row] = await rows();
      expect(row).toMatchObject({ messageId: id, type: "shop.order.placed.v1", topic: "orders", key: "o-1" });
      expect(row?.payload).toEqual(Buffer.from('{"orderId":"o-1","totalCents":5}'));
      expect(JSON.parse(row?.headers ?? "")).toEqual({
        "ce-source": "/order-service",
        "content-type": "application/json",
        "x-tenant": "é",
      });
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    });

    it("a message appended in a rolled-back transaction, or after a savepoint that was rolled back to, is never in the ledger", async () => {
      await inTransaction(() => append(client, placed("gone")), "rollback");
      await inTransaction(async () => {
        await append(client, placed("before"));
        await client.query("savepoint s");
        await append(client, placed("inside"));
        await client.query("rollback to savepoint s");
        await append(client, placed("after"));
      });
      await expect(
        knex.transaction(async (trx) => {
          await append(trx, placed("gone, too"));
          throw new Error("changed our mind");
        }),
      ).rejects.toThrow("changed our mind");
      expect(await keys()).toEqual(["before", "after"]);
    });

    it("a mysql2 connection with promises or callbacks, knex, a unit of ours and a Tx of the caller's own making all join", async () => {
      const callbacks = (await fixture.client()) as Client & { readonly connection: { promise(): Client } };
      await inTransaction(() => append(client, placed("promises")));
      await callbacks.beginTransaction();
      await append(callbacks.connection as never, placed("callbacks"));
      await callbacks.commit();
      await knex.transaction(async (trx) => {
        await trx("orders").insert({ id: "k-1" });
        await append(trx, placed("knex"));
        await trx.transaction((nested) => append(nested, placed("nested")));
      });
      await fixture.database.unitOfWork((tx) => append(tx, placed("unit")), { operation: "place an order" });
      const tx: Tx = {
        dialect: "mysql",
        query: async (sql, values) => {
          const [found] = await client.query(sql, [...values]);
          return Array.isArray(found) ? (found as Row[]) : [];
        },
      };
      await inTransaction(() => append(tx, [placed("own"), placed("own", ownId(1))], { serialiseKey: true }));
      expect(await keys()).toEqual(["promises", "callbacks", "knex", "nested", "unit", "own", "own"]);
    });

    it("one statement for one message and for many, two more for ids of the caller's own, one more for locked keys", async () => {
      let statements = 0;
      const inner = toTx(client);
      const counting: Tx = {
        dialect: "mysql",
        query: (sql, values) => {
          statements += 1;
          return inner.query(sql, values);
        },
      };
      const count = async (work: () => Promise<unknown>): Promise<number> => {
        statements = 0;
        await inTransaction(work);
        return statements;
      };
      const many = Array.from({ length: 300 }, (_, index) => placed(String(index % 7)));
      expect(await count(() => append(counting, placed("a")))).toBe(1);
      expect(await count(() => append(counting, many.slice(0, 100)))).toBe(1);
      expect(await count(() => append(counting, many))).toBe(3);
      expect(await count(() => append(counting, placed("a", ownId(1)), placed("b"), placed("c", ownId(2))))).toBe(3);
      expect(
        await count(() => append(counting, placed("a", ownId(1)), placed("c", ownId(2)), { ...placed("x") }).catch(() => undefined)),
      ).toBe(3);
      expect(await count(() => append(counting, [placed("a"), placed("b"), placed("a")], { serialiseKey: true }))).toBe(2);
      expect(await count(() => append(counting))).toBe(0);
    });

    it("500 messages of one transaction keep their order, in one call and in many", async () => {
      const wanted = Array.from({ length: 500 }, (_, index) => `m-${index}`);
      const ids = await inTransaction(async () => {
        const made = [
          ...(await append(client, ...wanted.slice(0, 250).map((key) => placed(key)))),
          ...(await append(
            client,
            wanted.slice(250, 480).map((key, index) => placed(key, index % 3 === 0 ? ownId(1_000 - index) : undefined)),
          )),
        ];
        for (const key of wanted.slice(480)) made.push(...(await append(client, placed(key))));
        return made;
      });
      const stored = await rows();
      expect(stored.map(({ key }) => key)).toEqual(wanted);
      expect(stored.map(({ messageId }) => messageId)).toEqual(ids);
    });

    it("no statement is larger than the least packet that a ledger takes, whatever the messages weigh", async () => {
      const largest: number[] = [];
      const tx: Tx = {
        dialect: "mysql",
        query: async (sql, values) => {
          // As text, which is the longest form that a driver sends.
          largest.push(
            mysql.format(
              sql,
              values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value)),
            ).length,
          );
          return [];
        },
      };
      const heavy = Array.from({ length: 12 }, () => ({ ...shop.labelPrinted("x"), payload: "'".repeat(700_000) }));
      const binary = Array.from({ length: 12 }, () => ({ ...shop.labelPrinted("x"), payload: new Uint8Array(990_000) }));
      await append(tx, [...heavy, ...binary]);
      expect(largest.length).toBeGreaterThan(10);
      expect(Math.max(...largest)).toBeLessThan(4_194_304);
    });

    it.each<[string, string | Uint8Array | null]>([
      ["odd JSON", '{"b":1.0,"a":1,"a":2,  "big":12345678901234567890,"e":1e400}'],
      ["text with U+0000", "before\0after\0"],
      ["text beyond the basic plane, line ends, quotes and escapes", "😀 é \r\n\t ' \" \\ \\' $1 ? \\? :a {} \u001a ﻿"],
      ["every byte", Uint8Array.from({ length: 256 }, (_, index) => index)],
      ["a part of a larger buffer", Buffer.from("xxabcxx").subarray(2, 5)],
      ["no bytes", new Uint8Array()],
      ["empty text", ""],
      ["trailing spaces", "a  "],
      ["a tombstone", null],
      ["900 000 bytes of text", "x".repeat(900_000)],
      ["900 000 bytes", new Uint8Array(900_000).fill(39)],
    ])("the payload comes out byte by byte: %s", async (_, payload) => {
      const hex = (given: string | Uint8Array | null | undefined): string | null =>
        given === null || given === undefined ? null : Buffer.from(given as string).toString("hex");
      for (const handle of ["mysql2", "knex", "unit"]) {
        await fixture.clear();
        const made = { ...shop.labelPrinted("x"), payload };
        if (handle === "mysql2") await inTransaction(() => append(client, made));
        else if (handle === "knex") await knex.transaction((trx) => append(trx, made));
        else await fixture.database.unitOfWork((tx) => append(tx, made), { operation: "append" });
        const [row] = await fixture.ledger.readIds(connection, [1n], { deadlineMs: 10_000 });
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

      it("a repeated id is a no-op where that is asked for, in a call, a transaction, or another one", async () => {
        const ids = [ownId(1), ownId(2)];
        const messages = [placed("a", ownId(1)), placed("b", ownId(2))];
        for (let round = 0; round < 2; round += 1) {
          await inTransaction(async () => {
            expect(await append(client, messages, { onRepeatedId: "ignore" })).toEqual(ids);
            expect(await append(client, messages, { onRepeatedId: "ignore" })).toEqual(ids);
            expect(await append(client, [...messages, ...messages], { onRepeatedId: "ignore" })).toEqual([...ids, ...ids]);
          });
        }
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
        "an id that another transaction claims meanwhile is waited for, and its content compared, behind an older snapshot: %s",
        async (content) => {
          const [found] = await client.query("show session variables where Variable_name = 'innodb_snapshot_isolation' and Value = 'ON'");
          const hasSnapshotIsolation = (found as readonly unknown[]).length > 0;
          const other = await fixture.client();
          await other.beginTransaction();
          await append(other, placed("a", ownId(1)));
          await client.query("start transaction with consistent snapshot");
          const again = (): Promise<unknown> => append(client, placed(content === "same" ? "a" : "b", ownId(1)));
          const refused = hasSnapshotIsolation ? "WAYBILL_DATABASE" : "WAYBILL_MESSAGE_ID_REPEATED";
          let repeated: Promise<unknown> = refusal(refused, again());
          await waitsForLock(client);
          await other.commit();
          if (hasSnapshotIsolation) {
            // MariaDB from 11.6 on refuses what its snapshot does not know, and asks for the whole transaction again.
            expect(await repeated).toMatchObject({ errno: 1020, isTransient: true });
            await client.rollback();
            await client.beginTransaction();
            repeated = refusal("WAYBILL_MESSAGE_ID_REPEATED", again());
          }
          expect(await repeated).toEqual({ messageId: ownId(1), isSameContent: content === "same" });
          await append(client, placed("c"));
          await client.commit();
          expect(await keys()).toEqual(["a", "c"]);
        },
      );

      it("callers with the same ids in another order do not run into a deadlock", async () => {
        const clients = await Promise.all(Array.from({ length: 4 }, () => fixture.client()));
        await Promise.all(
          clients.map(async (own, index) => {
            for (let round = 0; round < 5; round += 1) {
              const messages = Array.from({ length: 5 }, (_, n) => placed(`r${round}`, ownId(10 * round + n)));
              await own.beginTransaction();
              await append(own, index % 2 === 0 ? messages : messages.reverse(), { onRepeatedId: "ignore" });
              await own.commit();
            }
          }),
        );
        expect(await keys()).toHaveLength(25);
      });
    });

    describe("serialiseKey", () => {
      const highestId = async (): Promise<bigint> => (await fixture.ledger.facts(connection, { deadlineMs: 5_000 })).highestId;

      it("the second transaction of a key waits before it is given an id, so that order in the ledger is order of commits", async () => {
        const [first, second] = [await fixture.client(), await fixture.client()];
        await first.beginTransaction();
        await second.beginTransaction();
        await append(first, [placed("k")], { serialiseKey: true });
        const waiting = append(second, [placed("other"), placed("k")], { serialiseKey: true });
        await waitsForLock(second);
        expect(await highestId()).toBe(1n);
        await append(first, placed("k, later"));
        await first.commit();
        await waiting;
        await second.commit();
        expect(await keys()).toEqual(["k", "k, later", "other", "k"]);
      });

      it("keys of other locks, and messages without a key, do not wait", async () => {
        const free = Array.from({ length: 50 }, (_, index) => `k${index}`).filter(
          (key) => keyLockOf(`orders ${key}`) !== keyLockOf("orders k"),
        );
        const [first, second] = [await fixture.client(), await fixture.client()];
        await first.beginTransaction();
        await second.beginTransaction();
        await append(first, [placed("k")], { serialiseKey: true });
        await append(second, [...free.map((key) => placed(key)), { ...placed("k"), key: null }], { serialiseKey: true });
        await second.commit();
        await first.commit();
        expect(await keys()).toHaveLength(free.length + 2);
      });

      it("the lock of a key is the one that SQL computes from topic and key", async () => {
        for (const key of ["order-1", "Käufer 世界", ""]) {
          const [row] = await fixture.run("select crc32(concat('orders', ' ', ?)) mod 1024 as place", [key]);
          expect(keyLockOf(`orders ${key}`)).toBe(Number(row?.["place"]));
        }
      });

      it("transactions that lock the same keys in another order do not run into a deadlock", async () => {
        const clients = await Promise.all(Array.from({ length: 6 }, () => fixture.client()));
        await Promise.all(
          clients.map(async (own, index) => {
            for (let round = 0; round < 5; round += 1) {
              await own.beginTransaction();
              const messages = ["a", "b", "c", "d", "e"].map((key) => placed(key));
              await append(own, index % 2 === 0 ? messages : messages.reverse(), { serialiseKey: true });
              await own.commit();
            }
          }),
        );
        expect(await keys()).toHaveLength(150);
      });
    });

    describe("a duplicate key", () => {
      /** Lets the first `times` inserts into the ledger fail as the fence lets them. */
      const fenced = (times: number, error: unknown): { readonly tx: Tx; readonly inserts: string[] } => {
        const inserts: string[] = [];
        const inner = toTx(client);
        return {
          inserts,
          tx: {
            dialect: "mysql",
            query: async (sql, values) => {
              if (/insert into `waybill_outbox` /.test(sql)) {
                inserts.push(sql);
                if (inserts.length <= times) throw error;
              }
              return inner.query(sql, values);
            },
          },
        };
      };

      it("a foreign Tx that shows the server's number is tried once more, one that hides it passes the error on", async () => {
        const shown = fenced(1, Object.assign(new Error("Duplicate entry"), { errno: 1062 }));
        await inTransaction(() => append(shown.tx, placed("a")));
        expect([await keys(), shown.inserts.length]).toEqual([["a"], 2]);
        const hidden = fenced(1, new Error("Duplicate entry '7' for key 'PRIMARY'"));
        await expect(inTransaction(() => append(hidden.tx, placed("b")), "rollback")).rejects.toThrow("Duplicate entry");
        expect(hidden.inserts).toHaveLength(1);
        const twice = fenced(2, Object.assign(new Error("Duplicate entry"), { errno: 1062 }));
        await expect(inTransaction(() => append(twice.tx, placed("b")), "rollback")).rejects.toThrow("Duplicate entry");
        expect(twice.inserts).toHaveLength(2);
      });

      it("no other error is tried again", async () => {
        const { tx, inserts } = fenced(1, Object.assign(new Error("Lock wait timeout"), { errno: 1205 }));
        await expect(inTransaction(() => append(tx, placed("a")), "rollback")).rejects.toThrow("Lock wait");
        expect(inserts).toHaveLength(1);
      });
    });

    it("a pool, a bare knex, a connection outside a transaction and a finished transaction are refused, and nothing is written", async () => {
      const pool = mysql.createPool({ uri: fixture.url, connectionLimit: 1 });
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

    it("another schema, prefix and stream", async () => {
      const elsewhere = `waybill_test_elsewhere_${Math.random().toString(36).slice(2, 10)}`;
      await fixture.run(`create database ${elsewhere}`);
      try {
        await fixture.run(`create table ${elsewhere}.acme_audit_outbox like waybill_outbox`);
        const outbox = createOutbox({ schema: elsewhere, prefix: "acme_", stream: "audit" });
        await inTransaction(() => outbox.append(client, placed("elsewhere")));
        expect(await keys()).toEqual([]);
        expect(await fixture.run(`select \`key\` from ${elsewhere}.acme_audit_outbox`)).toEqual([{ key: "elsewhere" }]);
      } finally {
        await fixture.run(`drop database ${elsewhere}`);
      }
    });
  }),
);
