import { readFile } from "node:fs/promises";
import { catalogue, message } from "@waybill/core";
import { type Connection, namespace } from "@waybill/sql";
import { forEachPostgres } from "@waybill/testing";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, cancel, createDelayedMessages, createOutbox, type LedgerRow, nothingPassedOver, storedPayload } from "../src/index.ts";
import { type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const folder = new URL("../", import.meta.url);

/** The SQL blocks of ROW-FORMAT.md for PostgreSQL, in order: an insert, a key's lock, an id of one's own, a message for later, its end. */
async function documented(): Promise<readonly [insert: string, lock: string, ownId: string, later: string, cancelling: string]> {
  const [text = ""] = (await readFile(new URL("ROW-FORMAT.md", folder), "utf8")).split("# MySQL and MariaDB\n");
  const blocks = [...text.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => match[1] as string);
  expect(blocks).toHaveLength(5);
  return blocks as unknown as readonly [string, string, string, string, string];
}

forEachPostgres((server) =>
  describe(`the row format on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let connection: Connection;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      connection = await fixture.connect();
      await fixture.run("create table orders (id text primary key, total_cents int)");
    });
    afterAll(() => fixture.drop());
    beforeEach(() => fixture.clear());

    const rows = async (): Promise<readonly LedgerRow[]> =>
      (await fixture.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 100, areHolesOnly: false, deadlineMs: 5_000 })).rows;

    it("the documented insert is read like any message", async () => {
      const [insert] = await documented();
      await fixture.run(insert);
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
      const [, lock] = await documented();
      const held = async (take: (client: pg.Client) => Promise<unknown>): Promise<unknown> => {
        const client = await fixture.client();
        await client.query("begin");
        await take(client);
        const { rows: locks } = await client.query(
          "select classid, objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
        );
        await client.query("rollback");
        return locks;
      };
      const documentedLock = await held((client) => client.query(lock));
      expect(documentedLock).toHaveLength(1);
      expect(await held((client) => append(client, [shop.placed({ id: "order-1" })], { serialiseKey: true }))).toEqual(documentedLock);
    });

    it("the documented claim is one that append understands, and has no effect the second time", async () => {
      const notes = catalogue({
        source: "/order-service",
        placed: message<string>({ type: "shop.order.placed.v1", topic: "orders", key: () => "order-2", contentType: "text/plain" }),
      });
      const [, , ownId] = await documented();
      await fixture.run(ownId);
      await fixture.run(ownId);
      expect(await rows()).toHaveLength(1);
      const client = await fixture.client();
      await client.query("begin");
      const same = notes.placed('{"orderId": "order-2"}', { id: "7d444840-9dc0-51d1-b245-5ffdce74fad2" });
      const other = notes.placed("{}", { id: "7d444840-9dc0-51d1-b245-5ffdce74fad2" });
      expect(await append(client, same, { onRepeatedId: "ignore" })).toEqual(["7d444840-9dc0-51d1-b245-5ffdce74fad2"]);
      await expect(append(client, other, { onRepeatedId: "ignore" })).rejects.toMatchObject({ facts: { isSameContent: false } });
      await client.query("commit");
      expect(await rows()).toHaveLength(1);
    });

    it("the documented message for later waits under the id that it claims, and the documented delete cancels it", async () => {
      const [, , , later, cancelling] = await documented();
      const counts = async (): Promise<unknown> =>
        (
          await fixture.run(
            "select (select count(*) from waybill_outbox_delayed)::int as waiting, (select count(*) from waybill_outbox_id)::int as claims",
          )
        )[0];
      await fixture.run(later);
      await fixture.run(later);
      expect(await counts()).toMatchObject({ waiting: 1, claims: 1 });
      await fixture.run(cancelling);
      expect(await counts()).toMatchObject({ waiting: 0, claims: 1 });
    });

    it("the defaults are enough for the shortest insert", async () => {
      await fixture.run("insert into waybill_outbox (type, topic) values ('t.v1', 'orders')");
      const [row] = await rows();
      expect(row).toMatchObject({ id: 1n, key: null, headers: null, payload: null, leftBytes: null });
      expect(row?.messageId).toMatch(/^[0-9a-f-]{36}$/);
    });

    it("the table refuses an empty topic, two payloads, an id and no type", async () => {
      const refused = [
        ["insert into waybill_outbox (type, topic) values ('t', '')", "23514"],
        ["insert into waybill_outbox (type, topic, payload, payload_bytes) values ('t', 'orders', '', '')", "23514"],
        ["insert into waybill_outbox (id, type, topic) values (7, 't', 'orders')", "428C9"],
        ["insert into waybill_outbox (topic) values ('orders')", "23502"],
      ] as const;
      for (const [sql, code] of refused) await expect(fixture.run(sql)).rejects.toMatchObject({ code });
    });

    describe("with the rights that the migration prints", () => {
      const suffix = Math.random().toString(36).slice(2, 10);
      const [app, relay] = [`waybill_app_${suffix}`, `waybill_relay_${suffix}`];
      const shop = catalogue({
        source: "/order-service",
        placed: message<{ n: number }>({ type: "shop.order.placed.v1", topic: "orders" }),
      });

      beforeAll(async () => {
        const files = ["001_outbox", "003_delayed"].map((name) => readFile(new URL(`sql/postgres/${name}.sql`, folder), "utf8"));
        const sql = (await Promise.all(files)).join("\n");
        const grants = [...sql.matchAll(/^-- {3}(grant .*;)$/gm)].map((match) =>
          (match[1] as string).replace("waybill_relay;", `${relay};`).replace(/\bapp\b/g, app),
        );
        expect(grants).toHaveLength(9);
        await fixture.run(`create role ${app} login`);
        await fixture.run(`create role ${relay} login`);
        for (const grant of grants) await fixture.run(grant);
      });
      afterAll(async () => {
        for (const role of [app, relay]) {
          await fixture.run(`drop owned by ${role}`);
          await fixture.run(`drop role ${role}`);
        }
      });

      const as = async <T>(role: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
        const client = new pg.Client({ connectionString: fixture.url });
        await client.connect();
        try {
          await client.query(`set role ${role}`);
          return await work(client);
        } finally {
          await client.end();
        }
      };

      it("an application appends, with ids of its own too, and asks whether it did", async () => {
        const ids = await as(app, async (client) => {
          await client.query("begin");
          const appended = await append(
            client,
            [shop.placed({ n: 1 }), shop.placed({ n: 2 }, { id: "00000000-0000-4000-8000-000000000001" })],
            { serialiseKey: true },
          );
          await client.query("commit");
          const reader = {
            query: async (sql: string, values: readonly unknown[]) =>
              (await client.query(sql, [...values])).rows as Record<string, unknown>[],
          };
          expect(await createOutbox().find(reader, appended[0] as string)).toBe("appended");
          return appended;
        });
        expect((await rows()).map(({ messageId }) => messageId)).toEqual(ids);
      });

      it("an application cannot write ids or times, change rows or remove them", async () => {
        const denied = [
          "insert into waybill_outbox (id, type, topic) overriding system value values (7, 't', 'orders')",
          "insert into waybill_outbox (created_at, type, topic) values (now(), 't', 'orders')",
          "copy waybill_outbox (id, type, topic) from stdin",
          "update waybill_outbox set type = 'u'",
          "delete from waybill_outbox",
          "truncate waybill_outbox",
          "select setval('waybill_outbox_id_seq', 1)",
        ];
        for (const sql of denied)
          await expect(
            as(app, (client) => client.query(sql)),
            sql,
          ).rejects.toMatchObject({ code: "42501" });
      });

      it("an application delays messages and cancels them, and a relay moves them into the ledger", async () => {
        await as(app, async (client) => {
          await client.query("begin");
          const [, cancelled] = await append(client, [shop.placed({ n: 1 }), shop.placed({ n: 2 })], { delayMs: 0 });
          expect(await cancel(client, cancelled as string)).toBe(true);
          await client.query("commit");
        });
        const limited = await fixture.connect();
        await limited.query(`set role ${relay}`, []);
        const delayed = createDelayedMessages({ space: namespace("postgres") });
        expect(await delayed.untilDueMs(limited, { deadlineMs: 5_000 })).toBeLessThanOrEqual(0);
        expect(await delayed.moveDue(limited, { passedOver: nothingPassedOver })).toMatchObject({ kind: "moved", messages: 1 });
        expect((await rows()).map(storedPayload)).toEqual(['{"n":1}']);
      });

      it("a relay reads, proves and asks for facts", async () => {
        await fixture.run("insert into waybill_outbox (type, topic) values ('t', 'orders')");
        const limited = await fixture.connect();
        await limited.query(`set role ${relay}`, []);
        const deadlineMs = 5_000;
        expect(
          (await fixture.ledger.read(limited, { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs })).rows,
        ).toHaveLength(1);
        expect(await fixture.ledger.beginHoleProof().look(limited, [], { deadlineMs })).toEqual([]);
        expect(await fixture.ledger.facts(limited, { deadlineMs })).toMatchObject({ unsafe: null, highestId: 1n });
      });
    });
  }),
);
