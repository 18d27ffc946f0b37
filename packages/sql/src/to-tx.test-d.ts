/** What the compiler accepts as an open transaction, and what it refuses. Compiled, never run. */
import type { Knex } from "knex";
import type { Connection as CallbackConnection, Pool as CallbackPool, PoolConnection as CallbackPoolConnection } from "mysql2";
import type { Connection as PromiseConnection, Pool as PromisePool, PoolConnection as PromisePoolConnection } from "mysql2/promise";
import type { Client, Pool, PoolClient } from "pg";
import type { Connection, Database, OwnedTx } from "./database.ts";
import { toTx } from "./to-tx.ts";
import type { Tx } from "./tx.ts";

export function accepted(tx: Tx, owned: OwnedTx, client: Client, lent: PoolClient, trx: Knex.Transaction): readonly Tx[] {
  return [toTx(tx), toTx(owned), toTx(client), toTx(lent), toTx(trx)];
}

export function acceptedOfMysql2(
  connection: PromiseConnection,
  lent: PromisePoolConnection,
  callbacks: CallbackConnection,
  lentCallbacks: CallbackPoolConnection,
): readonly Tx[] {
  return [toTx(connection), toTx(lent), toTx(callbacks), toTx(lentCallbacks)];
}

export function refusedOfMysql2(pool: PromisePool, callbacks: CallbackPool): void {
  // @ts-expect-error a pool of mysql2/promise runs each statement on some connection
  toTx(pool);
  // @ts-expect-error nor is a pool of mysql2 a transaction
  toTx(callbacks);
}

export function refused(pool: Pool, knex: Knex, database: Database, connection: Connection): void {
  // @ts-expect-error a pool runs each statement on some connection
  toTx(pool);
  // @ts-expect-error a bare knex has no transaction to join
  toTx(knex);
  // @ts-expect-error a database of ours is no transaction
  toTx(database);
  // @ts-expect-error nor is a connection of ours
  toTx(connection);
  // @ts-expect-error a plain object is nothing to join
  toTx({});
  // @ts-expect-error a URL neither
  toTx("postgres://localhost/shop");
  // @ts-expect-error a dialect that does not exist
  toTx({ dialect: "sqlite", query: () => Promise.resolve([]) });
}

export function values(tx: Tx, owned: OwnedTx): readonly Promise<unknown>[] {
  return [
    tx.query("select $1", ["text", 1, null, new Uint8Array()]),
    owned.query("select $1", [true, ["1"]]),
    // @ts-expect-error an object is no value
    tx.query("select $1", [{ a: 1 }]),
    // @ts-expect-error a bigint travels as text
    tx.query("select $1", [1n]),
    // @ts-expect-error undefined is no null
    tx.query("select $1", [undefined]),
    // @ts-expect-error arrays are for connections of our own
    tx.query("select $1", [["a"]]),
  ];
}
