/**
 * What `append` costs: the same business transaction with an insert into the outbox written by hand, and with `append`.
 *
 * Both write an order and one message of it, encode the payload and make an id. The two take turns on one connection, in short
 * stretches, so that whatever else the machine does meets both; a round's ratio is the median stretch by hand over that with append.
 * Commits wait for the disk as the server is set up to. On PostgreSQL also 8 and 32 writers side by side, each on a connection of its own, and 8 that
 * have `append` lock the key first (`serialiseKey`): one statement more, so that figure has no target. Options: --database postgres (default), mariadb, mysql, or a URL; --json, --smoke.
 */
import { randomUUID } from "node:crypto";
import { catalogue, message } from "@waybill/core";
import { append, outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, provideServer, testDatabase } from "@waybill/testing";
import knexFactory from "knex";
import mysql from "mysql2/promise";
import pg from "pg";

interface Order {
  readonly orderId: string;
  readonly customer: string;
  readonly totalCents: number;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** One business transaction. */
type Transact = (order: Order) => Promise<unknown>;

const isSmoke = process.argv.includes("--smoke");
const isJson = process.argv.includes("--json");
const wanted = process.argv.includes("--database") ? (process.argv[process.argv.indexOf("--database") + 1] ?? "") : "postgres";
const rounds = 3;
const stretches = isSmoke ? 2 : 200;
const transactionsPerStretch = isSmoke ? 5 : 15;
const target = 0.97;

const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<Order>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
});
const headers = JSON.stringify({ "ce-source": "/order-service", "content-type": "application/json" });
const insertOrder = "insert into orders (id, total_cents) values ($1, $2)";
const insertMessage = "insert into waybill_outbox (message_id, type, topic, key, headers, payload) values ($1, $2, $3, $4, $5, $6)";
const withQuestionMarks = (sql: string): string => sql.replace(/\$\d/g, "?");
const inMysql = (sql: string): string => withQuestionMarks(sql).replace(" key,", " `key`,");
const columns = (order: Order): string[] => [randomUUID(), "shop.order.placed.v1", "orders", order.orderId, headers, JSON.stringify(order)];

function makeOrder(): Order {
  const lines = Array.from({ length: 5 }, (_, index) => ({ sku: `sku-${index}-${"x".repeat(40)}`, quantity: index + 1 }));
  return { orderId: randomUUID(), customer: "c".repeat(40), totalCents: 12_345, lines };
}

/** One transact per writer. */
async function measure(name: string, byHand: readonly Transact[], withAppend: readonly Transact[], aim = target): Promise<BenchmarkResult> {
  await stretch(byHand);
  await stretch(withAppend);
  // As many transactions in all, whoever makes them.
  const stretchesOfAll = Math.max(2, Math.round(stretches / byHand.length));
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const [byHandMs, withAppendMs]: [number[], number[]] = [[], []];
    for (let index = 0; index < stretchesOfAll; index += 1) {
      // Who begins changes from stretch to stretch.
      if (index % 2 === 0) byHandMs.push(await stretch(byHand));
      withAppendMs.push(await stretch(withAppend));
      if (index % 2 === 1) byHandMs.push(await stretch(byHand));
    }
    ratios.push(median(byHandMs) / median(withAppendMs));
    const each = (ms: readonly number[]): string => ((1_000 * median(ms)) / transactionsPerStretch / byHand.length).toFixed(0);
    console.error(`${name}, round ${round}: by hand ${each(byHandMs)} µs, with append ${each(withAppendMs)} µs per transaction`);
  }
  return benchmarkResult(name, ratios, aim);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

async function stretch(writers: readonly Transact[]): Promise<number> {
  const orders = writers.map(() => Array.from({ length: transactionsPerStretch }, makeOrder));
  const write = async (transact: Transact, writer: number): Promise<void> => {
    for (const order of orders[writer] ?? []) await transact(order);
  };
  const startedAt = performance.now();
  await Promise.all(writers.map(write));
  return performance.now() - startedAt;
}

/** A connection with the driver's own calls. */
interface Driver {
  readonly name: string;
  readonly handle: Parameters<typeof append>[0];
  run(sql: string, values?: (string | number)[]): Promise<unknown>;
  end(): Promise<void>;
}

async function openPg(url: string): Promise<Driver> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return { name: "pg", handle: client, run: (sql, values = []) => client.query(sql, values), end: () => client.end() };
}

/** Prepared, as `append` sends its own. */
async function openMysql2(url: string): Promise<Driver> {
  const connection = await mysql.createConnection(url);
  return {
    name: "mysql2",
    handle: connection,
    run: (sql, values) => (values === undefined ? connection.query(sql) : connection.execute(inMysql(sql), values)),
    end: () => connection.end(),
  };
}

async function inDriver(driver: Driver, order: Order, work: () => Promise<unknown>): Promise<void> {
  await driver.run("begin");
  await driver.run(insertOrder, [order.orderId, order.totalCents]);
  await work();
  await driver.run("commit");
}

async function measureWriters(url: string): Promise<readonly BenchmarkResult[]> {
  const drivers = await Promise.all(Array.from({ length: 32 }, () => openPg(url)));
  const results: BenchmarkResult[] = [];
  try {
    for (const [writers, serialiseKey] of [
      [8, false],
      [32, false],
      [8, true],
    ] as const) {
      const some = drivers.slice(0, writers);
      const name = `append/postgres-pg-${writers}-writers${serialiseKey ? "-serialiseKey" : ""}`;
      const byHand = some.map((driver) => (order: Order) => inDriver(driver, order, () => driver.run(insertMessage, columns(order))));
      const withAppend = some.map(
        (driver) => (order: Order) => inDriver(driver, order, () => append(driver.handle, shop.orderPlaced(order), { serialiseKey })),
      );
      results.push(await measure(name, byHand, withAppend, serialiseKey ? 0 : target));
    }
  } finally {
    await Promise.all(drivers.map((driver) => driver.end()));
  }
  return results;
}

async function measureAll(url: string, database: string): Promise<readonly BenchmarkResult[]> {
  const isPostgres = url.startsWith("postgres");
  const driver = isPostgres ? await openPg(url) : await openMysql2(url);
  const knex = knexFactory({ client: driver.name, connection: url, pool: { min: 1, max: 1 } });
  const inKnex = isPostgres ? withQuestionMarks : inMysql;
  try {
    await driver.run("create table orders (id varchar(40) primary key, total_cents int not null)");
    return [
      await measure(
        `append/${database}-${driver.name}`,
        [(order) => inDriver(driver, order, () => driver.run(insertMessage, columns(order)))],
        [(order) => inDriver(driver, order, () => append(driver.handle, shop.orderPlaced(order)))],
      ),
      ...(isPostgres ? await measureWriters(url) : []),
      await measure(
        `append/${database}-knex`,
        [
          (order) =>
            knex.transaction(async (trx) => {
              await trx.raw(inKnex(insertOrder), [order.orderId, order.totalCents]);
              await trx.raw(inKnex(insertMessage), columns(order));
            }),
        ],
        [
          (order) =>
            knex.transaction(async (trx) => {
              await trx.raw(inKnex(insertOrder), [order.orderId, order.totalCents]);
              await append(trx, shop.orderPlaced(order));
            }),
        ],
      ),
    ];
  } finally {
    await knex.destroy();
    await driver.end();
  }
}

/** The server to measure on: one of a kind, or the one that a URL names. */
async function provide(): Promise<{ readonly url: string; readonly name: string; stop(): Promise<void> }> {
  if (wanted.includes("://"))
    return { url: wanted, name: wanted.startsWith("postgres") ? "postgres" : "mysql", stop: async () => undefined };
  if (wanted !== "postgres" && wanted !== "mariadb" && wanted !== "mysql") {
    throw new Error("--database is postgres, mariadb, mysql, or the URL of a server on which databases may be made.");
  }
  const server = await provideServer({ kind: wanted });
  if (server.kind === "skipped") throw new Error(`No ${wanted} to measure on: ${server.reason}`);
  console.error(`${wanted} ${server.version}, ${server.from}`);
  return { url: server.url, name: wanted, stop: server.stop };
}

const server = await provide();
try {
  const own = await testDatabase({ url: server.url });
  try {
    const database = openDatabase({ url: own.url });
    await migrateUp(database, namespace(database.dialect), [outboxMigrations]);
    await database.close();
    const results = await measureAll(own.url, server.name);
    if (isJson) console.log(benchmarkJson("append", results));
    else console.table(results);
    if (!isSmoke && results.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await own.drop();
  }
} finally {
  await server.stop();
}
