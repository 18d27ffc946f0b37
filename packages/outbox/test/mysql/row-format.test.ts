import { readFile } from "node:fs/promises";
import { catalogue, message } from "@waybill/core";
import { type Connection, namespace, openDatabase } from "@waybill/sql";
import { forEachMysql } from "@waybill/testing";
import type { Connection as Client } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  append,
  cancel,
  createDelayedMessages,
  createOutbox,
  type LedgerRow,
  nothingPassedOver,
  removeHistory,
  storedPayload,
} from "../../src/index.ts";
import { type MysqlFixture, mysqlFixture, range } from "./mysql-fixture.ts";

const folder = new URL("../../", import.meta.url);
const deadlineMs = 20_000;

/** The SQL blocks of ROW-FORMAT.md for MySQL, in order, each as its statements: an insert, a key's lock, an id of one's own, a message for later and its end. */
async function documented(): Promise<readonly (readonly string[])[]> {
  const [, text = ""] = (await readFile(new URL("ROW-FORMAT.md", folder), "utf8")).split("# MySQL and MariaDB\n");
  const blocks = [...text.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => match[1] as string);
  expect(blocks).toHaveLength(4);
  return blocks.map((block) => block.split(/;\n/).filter((statement) => statement.trim() !== ""));
}

await forEachMysql((server) =>
  describe(`the row format on ${server.name}`, () => {
    let fixture: MysqlFixture;
    let connection: Connection;

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
      connection = await fixture.connect();
      await fixture.run("create table orders (id varchar(40) primary key, total_cents int)");
    });
    afterAll(() => fixture.drop());
    beforeEach(() => fixture.clear());

    const rows = async (): Promise<readonly LedgerRow[]> =>
      (await fixture.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 100, areHolesOnly: false, deadlineMs })).rows;
    const runAll = async (statements: readonly string[], client?: Client): Promise<void> => {
      for (const statement of statements) await (client === undefined ? fixture.run(statement) : client.query(statement));
    };

    it("the documented insert is read like any message", async () => {
      const [insert = []] = await documented();
      await runAll(insert);
      expect(await rows()).toMatchObject([
        {
          messageId: "01980f6e-5d2a-7c3b-9a41-0d9f1b6c7e21",
          type: "shop.order.placed.v1",
          topic: "orders",
          key: "order-1",
          headers: '{"ce-source": "/order-service", "content-type": "application/json"}',
          payload: Buffer.from('{"orderId": "order-1", "totalCents": 1250}'),
        },
      ]);
    });

    it("the documented lock is the one that serialiseKey takes", async () => {
      const shop = catalogue({
        source: "/order-service",
        placed: message<{ id: string }>({ type: "shop.order.placed.v1", topic: "orders", key: ({ id }) => id }),
      });
      const [, lock = []] = await documented();
      const [holder, other] = [await fixture.client(), await fixture.client()];
      await holder.beginTransaction();
      await runAll(lock, holder);
      await other.query("set session innodb_lock_wait_timeout = 1");
      await other.beginTransaction();
      await expect(append(other, [shop.placed({ id: "order-1" })], { serialiseKey: true })).rejects.toMatchObject({
        facts: { errno: 1205 },
      });
      await other.rollback();
      await holder.rollback();
    });

    it("the documented claim is one that append understands, and has no effect the second time", async () => {
      const notes = catalogue({
        source: "/order-service",
        placed: message<string>({ type: "shop.order.placed.v1", topic: "orders", key: () => "order-2", contentType: "text/plain" }),
      });
      const [, , ownId = []] = await documented();
      const client = await fixture.client();
      for (let round = 0; round < 2; round += 1) {
        await client.beginTransaction();
        await runAll(ownId, client);
        await client.commit();
      }
      expect(await rows()).toHaveLength(1);
      await client.beginTransaction();
      const id = "7d444840-9dc0-51d1-b245-5ffdce74fad2";
      expect(await append(client, notes.placed('{"orderId": "order-2"}', { id }), { onRepeatedId: "ignore" })).toEqual([id]);
      await expect(append(client, notes.placed("{}", { id }), { onRepeatedId: "ignore" })).rejects.toMatchObject({
        facts: { isSameContent: false },
      });
      await client.commit();
      expect(await rows()).toHaveLength(1);
    });

    it("the defaults are enough for the shortest insert, and times are UTC whatever the session's zone is", async () => {
      const client = await fixture.client();
      await client.query("set session time_zone = '+05:00'");
      await client.query("insert into waybill_outbox (type, topic) values ('t.v1', 'orders')");
      const [row] = await rows();
      expect(row).toMatchObject({ id: 1n, key: null, headers: null, payload: null, leftBytes: null });
      expect(row?.messageId).toMatch(/^[0-9a-f-]{36}$/);
      const { nowMs } = await fixture.ledger.facts(connection, { deadlineMs });
      expect(Math.abs(nowMs - (row?.createdAtMs ?? 0))).toBeLessThan(60_000);
    });

    it("the table refuses two payloads, no type, and text that does not fit", async () => {
      for (const [sql, errno] of [
        [
          "insert into waybill_outbox (type, topic, payload, payload_bytes) values ('t', 'orders', '', '')",
          fixture.isMariadb ? 4025 : 3819,
        ],
        ["insert into waybill_outbox (topic) values ('orders')", 1364],
        ["insert into waybill_outbox (type, topic) values (repeat('t', 256), 'orders')", 1406],
      ] as const) {
        await expect(fixture.run(sql), sql).rejects.toMatchObject({ errno });
      }
    });

    describe("with the rights that the migration prints", () => {
      const suffix = Math.random().toString(36).slice(2, 10);
      const [app, relay] = [`waybill_app_${suffix}`, `waybill_relay_${suffix}`];
      const shop = catalogue({
        source: "/order-service",
        placed: message<{ n: number }>({ type: "shop.order.placed.v1", topic: "orders", key: ({ n }) => String(n) }),
      });
      const urlOf = (user: string): string => {
        const url = new URL(fixture.url);
        url.username = user;
        url.password = "test";
        return url.href;
      };

      beforeAll(async () => {
        const files = ["001_outbox", "002_delayed"].map((name) => readFile(new URL(`sql/mysql/${name}.sql`, folder), "utf8"));
        const sql = (await Promise.all(files)).join("\n");
        const grants = [...sql.matchAll(/^-- {3}(grant .*;)$/gm)].map((match) =>
          (match[1] as string).replace("to waybill_relay;", `to '${relay}'@'%';`).replace("to app;", `to '${app}'@'%';`),
        );
        expect(grants).toHaveLength(10);
        for (const user of [app, relay]) await fixture.run(`create user '${user}'@'%' identified by 'test'`);
        for (const grant of grants) await fixture.run(grant);
      });
      afterAll(async () => {
        for (const user of [app, relay]) await fixture.run(`drop user '${user}'@'%'`);
      });

      it("an application appends, with ids of its own and locked keys too, and asks whether it did", async () => {
        const client = await fixture.client({ user: app, password: "test" });
        await client.beginTransaction();
        const ids = await append(client, [shop.placed({ n: 1 }), shop.placed({ n: 2 }, { id: "00000000-0000-4000-8000-000000000001" })], {
          serialiseKey: true,
        });
        await client.commit();
        expect((await rows()).map(({ messageId }) => messageId)).toEqual(ids);
        const database = openDatabase({ url: urlOf(app) });
        try {
          expect(await createOutbox().find(database, ids[0] as string)).toBe("appended");
        } finally {
          await database.close();
        }
      });

      it("an application cannot write ids or times, change rows or remove them", async () => {
        const client = await fixture.client({ user: app, password: "test" });
        for (const sql of [
          "insert into waybill_outbox (id, type, topic) values (7, 't', 'orders')",
          "insert into waybill_outbox (created_at, type, topic) values (now(), 't', 'orders')",
          "update waybill_outbox set type = 'u'",
          "delete from waybill_outbox",
          "truncate table waybill_outbox",
          "alter table waybill_outbox auto_increment = 1000",
        ]) {
          await expect(client.query(sql), sql).rejects.toMatchObject({
            errno: expect.toSatisfy((errno) => errno === 1142 || errno === 1143),
          });
        }
      });

      it("an application delays messages and cancels them, and a relay moves them into the ledger", async () => {
        const client = await fixture.client({ user: app, password: "test" });
        await client.beginTransaction();
        const [, cancelled] = await append(client, [shop.placed({ n: 1 }), shop.placed({ n: 2 })], { delayMs: 0 });
        expect(await cancel(client, cancelled as string)).toBe(true);
        await client.commit();
        const database = openDatabase({ url: urlOf(relay) });
        try {
          const limited = await database.connect({ purpose: "test" });
          const delayed = createDelayedMessages({ space: namespace("mysql") });
          expect(await delayed.untilDueMs(limited, { deadlineMs })).toBeLessThanOrEqual(0);
          expect(await delayed.moveDue(limited, { passedOver: nothingPassedOver })).toMatchObject({ kind: "moved", messages: 1 });
        } finally {
          await database.close();
        }
        expect((await rows()).map(storedPayload)).toEqual(['{"n":1}']);
      });

      it("the documented message for later waits, and the documented delete cancels it", async () => {
        const [, , , later] = await documented();
        const [insert = "", cancelling = ""] = later ?? [];
        await fixture.run(insert);
        expect(await fixture.run("select id from waybill_outbox_delayed")).toHaveLength(1);
        await fixture.run(cancelling);
        expect(await fixture.run("select id from waybill_outbox_delayed")).toHaveLength(0);
      });

      it("a relay reads, fences, asks for facts and removes history", async () => {
        await fixture.run("insert into waybill_outbox (id, type, topic) values (3, 't', 'orders')");
        const database = openDatabase({ url: urlOf(relay) });
        try {
          const limited = await database.connect({ purpose: "test" });
          const request = { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs };
          expect((await fixture.ledger.read(limited, request)).rows).toHaveLength(1);
          await fixture.ledger.beginHoleProof({ fenceAfterMs: 0 }).look(limited, [range(1, 2)], { deadlineMs });
          expect((await fixture.ledger.read(limited, request)).rows).toHaveLength(3);
          expect(await fixture.ledger.facts(limited, { deadlineMs })).toMatchObject({ unsafe: null, highestId: 3n });
          expect(await removeHistory(database, { space: namespace("mysql"), lowWaterMark: async () => 4n })).toMatchObject({
            rows: 0,
            hindrance: null,
          });
        } finally {
          await database.close();
        }
      });
    });
  }),
);
