/**
 * A service that is killed while it appends: places orders, each with messages of it, in one transaction.
 *
 * Environment: DATABASE_URL · KILL_AT the point at which it kills itself, KILL_NTH the how many-th time · FIRST_ORDER where
 * to begin. It tells every point, with the order it is about; after the last of six orders it stops.
 */
import { catalogue, message } from "@waybill/core";
import { append } from "@waybill/outbox";
import type { Tx } from "@waybill/sql";
import { tellParent } from "@waybill/testing";
import pg from "pg";

const { DATABASE_URL = "", KILL_AT, KILL_NTH = "1", FIRST_ORDER = "0" } = process.env;
const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly order: number; readonly part: number }>({
    type: "shop.order.placed.v1",
    topic: "orders",
    key: ({ order }) => String(order),
  }),
});

let reached = 0;
function point(name: string, order: number): void {
  tellParent({ name, order });
  if (name === KILL_AT && ++reached === Number(KILL_NTH)) process.kill(process.pid, "SIGKILL");
}

const client = new pg.Client({ connectionString: DATABASE_URL });
await client.connect();
for (let order = Number(FIRST_ORDER); order < 6; order += 1) {
  /** The transaction, with a point before and after each of append's statements. */
  const tx: Tx = {
    dialect: "postgres",
    query: async (sql, values) => {
      const verb = sql.includes("advisory") ? "lock" : sql.includes("claimed") ? "claim" : "insert";
      point(`before ${verb}`, order);
      const { rows } = await client.query(sql, [...values]);
      point(`after ${verb}`, order);
      return rows as Record<string, unknown>[];
    },
  };
  const own = `00000000-0000-4000-8000-${String(order).padStart(12, "0")}`;
  await client.query("begin");
  point("begun", order);
  await client.query("insert into orders (id) values ($1)", [order]);
  await append(tx, [shop.placed({ order, part: 1 }), shop.placed({ order, part: 2 })], { serialiseKey: true });
  await append(tx, shop.placed({ order, part: 3 }, { id: own }));
  point("before commit", order);
  const committed = client.query("commit");
  point("commit on its way", order);
  await committed;
  point("committed", order);
}
await client.end();
