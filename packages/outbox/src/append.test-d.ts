/** What must not compile, and what must. */
import { catalogue, message } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import type { Knex } from "knex";
import type pg from "pg";
import { append, createOutbox } from "./index.ts";

const shop = catalogue({ source: "/order-service", placed: message<{ id: string }>({ type: "shop.order.placed.v1", topic: "orders" }) });
declare const pool: pg.Pool;
declare const client: pg.Client;
declare const poolClient: pg.PoolClient;
declare const knex: Knex;
declare const trx: Knex.Transaction;
declare const tx: Tx;
const placed = shop.placed({ id: "1" });

export async function compiles(): Promise<readonly string[][]> {
  const answers = await Promise.all([
    append(client, placed),
    append(poolClient, placed, placed),
    append(trx, [placed], { serialiseKey: true }),
    append(tx, placed, { onRepeatedId: "ignore" }),
    append(tx, [placed]),
    append(tx),
    createOutbox({ schema: "app", prefix: "acme_", stream: "audit" }).append(trx, placed),
  ]);
  return answers.map((ids) => [...ids]);
}

export async function refuses(): Promise<void> {
  // @ts-expect-error a pool runs each statement on some connection: there is no transaction to join
  await append(pool, placed);
  // @ts-expect-error a bare knex has no transaction to join, nor
  await append(knex, placed);
  // @ts-expect-error an entry of the catalogue is not a message yet
  await append(client, shop.placed);
  // @ts-expect-error options come after the messages
  await append(client, { serialiseKey: true }, placed);
  // @ts-expect-error no such policy
  await append(client, placed, { onRepeatedId: "overwrite" });
  // @ts-expect-error a payload of another type
  shop.placed({ id: 1 });
}
