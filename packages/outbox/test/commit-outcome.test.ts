/** The reply to COMMIT is lost, or COMMIT itself: nobody knows how the transaction ended – until the ledger is asked. */
import { catalogue, message } from "@waybill/core";
import { openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachPostgres, startFaultProxy } from "@waybill/testing";
import knexFactory from "knex";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append, createOutbox } from "../src/index.ts";
import { type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const shop = catalogue({ source: "/order-service", placed: message<{ id: string }>({ type: "shop.order.placed.v1", topic: "orders" }) });
const { find } = createOutbox();
const rounds = 8;
const cuts = ["beforeRequest", "afterRequest", "beforeReply"] as const;
const insertOrder = "insert into orders (id) values ($1)";

forEachPostgres((server) =>
  describe(`a COMMIT without an answer on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let proxy: FaultProxy;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      await fixture.run("create table orders (id text primary key)");
      const { hostname, port } = new URL(fixture.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    afterAll(async () => {
      await proxy.stop();
      await fixture.drop();
    });

    /** Appends beside an order, each way of its own; answers the message id, whatever became of the transaction. */
    const ways: Readonly<Record<string, (orderId: string) => Promise<string>>> = {
      pg: async (orderId) => {
        const client = new pg.Client({ connectionString: proxy.url(fixture.url) });
        client.on("error", () => undefined);
        await client.connect();
        await client.query("begin");
        await client.query(insertOrder, [orderId]);
        const [id] = (await append(client, shop.placed({ id: orderId }))) as [string];
        await expect(client.query("commit")).rejects.toThrow();
        return id;
      },
      knex: async (orderId) => {
        const knex = knexFactory({ client: "pg", connection: proxy.url(fixture.url), pool: { min: 0, max: 1 } });
        let id = "";
        const ended = knex.transaction(async (trx) => {
          await trx("orders").insert({ id: orderId });
          [id] = (await append(trx, shop.placed({ id: orderId }))) as [string];
        });
        await expect(ended).rejects.toThrow();
        await knex.destroy();
        return id;
      },
      "a unit of work": async (orderId) => {
        const database = openDatabase({ url: proxy.url(fixture.url), connections: 1 });
        let id = "";
        const outcome = await database.unitOfWork(
          async (tx) => {
            await tx.query(insertOrder, [orderId]);
            [id] = (await append(tx, shop.placed({ id: orderId }))) as [string];
          },
          { operation: "placing an order" },
        );
        expect(outcome.kind).toBe("unknown");
        await database.close();
        return id;
      },
    };

    for (const [way, transact] of Object.entries(ways)) {
      it.each(cuts)(`${way}, cut %s: what find answers is what happened, for the order and its message alike`, async (at) => {
        for (let round = 0; round < rounds; round += 1) {
          const orderId = `${way} ${at} ${round}`;
          const fault = proxy.inject({ kind: "cut", at, pattern: "commit" });
          const messageId = await transact(orderId);
          expect(fault.fired).toBe(1);
          fault.lift();
          const answer = await find(fixture.database, messageId);
          const orders = await fixture.run("select id from orders where id = $1", [orderId]);
          const messages = await fixture.run("select id from waybill_outbox where message_id = $1", [messageId]);
          expect([orders.length, messages.length]).toEqual(answer === "appended" ? [1, 1] : [0, 0]);
          if (at === "beforeRequest") expect(answer).toBe("notAppended");
          if (at === "beforeReply") expect(answer).toBe("appended");
        }
      });
    }
  }),
);
