/**
 * What the inbox costs: the same work as a transaction written by hand – dedupe row, update, commit – and with `inbox.process`.
 *
 * Both parse the payload and take a message that nobody has handled, in steady state: nothing is redelivered, no dead letter is open. The
 * inbox also looks whether the message or its key is among the dead letters, whether it is too old, and whether its content is what came
 * under its id before. Once one message after the other on one connection, once eight at a time on eight. The two take turns in short
 * stretches, so that whatever else the machine does meets both. On PostgreSQL commits do not wait for the disk here: it would hide the
 * difference. On MySQL and MariaDB that is the server's setting for all its sessions, and stays as it is.
 *
 * The targets are 0.6 and 0.5. On PostgreSQL the round trips are the same four; on MySQL there is a fifth, for no INSERT there answers what
 * it found. What is more is the client's and the server's own work, which shows the more, the less they wait for each other: on two cores
 * eight at a time leave nothing idle.
 *
 * Then the same on one connection with 100 messages that arrive together. With a handler that writes for all of them in one statement, beside
 * the inbox with a transaction for each message: the target is 15, and 8 on MySQL and MariaDB. And with a handler that sends a statement
 * for each of them, beside the same hundred statements in one transaction without dedupe: the target is 0.6. One statement for all without
 * dedupe is told as a figure: there the inbox writes a row for each message and the bare work none. Commits wait for the disk, as they do
 * in earnest: sharing one is half of what a batch is for.
 *
 * Options: --database postgres (default), mariadb, mysql, or a URL; --batches for the second part only; --json, --smoke.
 */
import { catalogue, message, newMessageId, type ReceivedMessage } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createInbox, inboxMigrations } from "@waybill/inbox";
import { type Dialect, migrateUp, namespace, type OwnedTx, openDatabase, sqlMigrations } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, provideServer, testDatabase } from "@waybill/testing";
import mysql from "mysql2/promise";
import pg from "pg";

const isSmoke = process.argv.includes("--smoke");
const isJson = process.argv.includes("--json");
const wanted = process.argv.includes("--database") ? (process.argv[process.argv.indexOf("--database") + 1] ?? "") : "postgres";
const rounds = 3;
const stretches = isSmoke ? 2 : 40;
const messagesPerStretch = isSmoke ? 8 : 80;
const targets = { 1: 0.6, 8: 0.5 } as const;
const skus = 100;

interface Reservation {
  readonly sku: number;
  readonly quantity: number;
}

const shop = catalogue({
  source: "/order-service",
  reserved: message<Reservation>({ type: "shop.stock.reserved.v1", topic: "stock", key: (reservation) => String(reservation.sku) }),
});
/** The work by hand. Of a message that was handled before, the insert says so: by no row, or by an error. */
const byHandSql = {
  postgres: {
    insert: "insert into handled_by_hand (consumer, message_id) values ($1, $2) on conflict do nothing returning 1",
    update: "update stock set reserved = reserved + $1 where sku = $2",
    table:
      "create table handled_by_hand (consumer text, message_id text, handled_at timestamptz default now(), primary key (consumer, message_id))",
  },
  mysql: {
    insert: "insert into handled_by_hand (consumer, message_id) values (?, ?)",
    update: "update stock set reserved = reserved + ? where sku = ?",
    table:
      "create table handled_by_hand (consumer varchar(100), message_id varbinary(255), handled_at datetime(6) default now(6), primary key (consumer, message_id))",
  },
} as const;

let sequence = 0;
function makeMessage(): ReceivedMessage {
  sequence += 1;
  const made = shop.reserved({ sku: sequence % skus, quantity: 1 });
  return {
    id: newMessageId(),
    type: made.type,
    topic: made.topic,
    key: made.key,
    headers: made.headers,
    payload: Buffer.from(made.payload as string),
    sequence: BigInt(sequence),
    createdAtMs: Date.now(),
  };
}

type Handle = (message: ReceivedMessage) => Promise<unknown>;

/** Handles messages, `atOnce` at a time, and answers how long it took. */
async function stretch(handle: Handle, atOnce: number): Promise<number> {
  const messages = Array.from({ length: messagesPerStretch }, makeMessage).values();
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    for (const next of messages) await handle(next);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return performance.now() - startedAt;
}

async function measure(place: string, byHand: Handle, withInbox: Handle, atOnce: 1 | 8): Promise<BenchmarkResult> {
  const name = `process/${place}-${atOnce}-at-once`;
  for (const handle of [byHand, withInbox, byHand, withInbox]) await stretch(handle, atOnce);
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    let [byHandMs, withInboxMs] = [0, 0];
    for (let index = 0; index < stretches; index += 1) {
      // Who begins changes from stretch to stretch.
      if (index % 2 === 0) byHandMs += await stretch(byHand, atOnce);
      withInboxMs += await stretch(withInbox, atOnce);
      if (index % 2 === 1) byHandMs += await stretch(byHand, atOnce);
    }
    ratios.push(byHandMs / withInboxMs);
    const each = (ms: number): string => ((1_000 * ms) / (stretches * messagesPerStretch)).toFixed(0);
    console.error(`${name}, round ${round}: by hand ${each(byHandMs)} µs, with the inbox ${each(withInboxMs)} µs per message`);
  }
  return benchmarkResult(name, ratios, targets[atOnce]);
}

interface Reserving {
  reserve(id: string, reservation: Reservation): Promise<void>;
  end(): Promise<void>;
}

/** Begin, insert, update, commit, with the driver alone. */
function byDriver(dialect: Dialect, url: string, connections: number): Reserving {
  const { insert, update } = byHandSql[dialect];
  if (dialect === "postgres") {
    const pool = new pg.Pool({ connectionString: url, max: connections });
    pool.on("error", () => undefined); // whose statement is under way gets its rejection
    return {
      async reserve(id, { quantity, sku }) {
        const client = await pool.connect();
        await client.query("begin");
        const inserted = await client.query(insert, ["bench", id]);
        if (inserted.rows.length === 1) await client.query(update, [quantity, sku]);
        await client.query("commit");
        client.release();
      },
      end: () => pool.end(),
    };
  }
  const pool = mysql.createPool({ uri: url, connectionLimit: connections });
  return {
    async reserve(id, { quantity, sku }) {
      const connection = await pool.getConnection();
      await connection.query("begin");
      await connection.query(insert, ["bench", id]);
      await connection.query(update, [quantity, sku]);
      await connection.query("commit");
      connection.release();
    },
    end: () => pool.end(),
  };
}

async function measureAll(place: string, dialect: Dialect, url: string): Promise<readonly BenchmarkResult[]> {
  const { update } = byHandSql[dialect];
  const results: BenchmarkResult[] = [];
  for (const atOnce of [1, 8] as const) {
    const driver = byDriver(dialect, url, atOnce);
    const database = openDatabase({ url, connections: atOnce });
    const inbox = createInbox({ consumer: "bench", database, concurrency: atOnce, prefetch: 0 });
    inbox.on(shop.reserved, async ({ payload }, tx) => void (await tx.query(update, [payload.quantity, payload.sku])));
    const byHand: Handle = ({ id, payload }) =>
      driver.reserve(id, JSON.parse(Buffer.from(payload as Uint8Array).toString()) as Reservation);
    const withInbox: Handle = async (next) => {
      const { kind } = await inbox.process({ message: next, redelivered: false });
      if (kind !== "done") throw new Error("A message was not handled: this measures nothing.");
    };
    try {
      results.push(await measure(place, byHand, withInbox, atOnce));
    } finally {
      await inbox.close();
      await database.close();
      await driver.end();
    }
  }
  return results;
}

const together = 100;
const batches = isSmoke ? 1 : 20;

/** The update of a whole batch: $1 a JSON array of objects with sku and quantity. */
const updateMany = {
  postgres: `update stock set reserved = reserved + given.quantity
             from json_to_recordset($1::json) as given (sku int, quantity int)
             where stock.sku = given.sku`,
  mysql: `update json_table(?, '$[*]' columns (sku int path '$.sku', quantity int path '$.quantity')) as given
          straight_join stock on stock.sku = given.sku
          set stock.reserved = stock.reserved + given.quantity`,
} as const;

async function measureBatches(place: string, dialect: Dialect, url: string): Promise<readonly BenchmarkResult[]> {
  const database = openDatabase({ url, connections: 1 });
  const options = { consumer: "bench", database, concurrency: 1, prefetch: 0 } as const;
  const oneByOne = createInbox({ ...options, batchMax: 1 });
  const batched = createInbox({ ...options, consumer: "batched", batchMax: together });
  const inBatches = createInbox({ ...options, consumer: "in-batches", batchMax: together });
  const updateOne = byHandSql[dialect].update;
  for (const inbox of [oneByOne, inBatches]) {
    inbox.on(shop.reserved, async ({ payload }, tx) => void (await tx.query(updateOne, [payload.quantity, payload.sku])));
  }
  batched.onBatch(
    shop.reserved,
    async (messages, tx) => void (await tx.query(updateMany[dialect], [JSON.stringify(messages.map(({ payload }) => payload))])),
  );
  const parse = ({ payload }: ReceivedMessage): Reservation => JSON.parse(Buffer.from(payload as Uint8Array).toString()) as Reservation;
  const each = async (count: number, work: (messages: readonly ReceivedMessage[]) => Promise<unknown>): Promise<number> => {
    let spentMs = 0;
    for (let left = count; left > 0; left -= together) {
      const messages = Array.from({ length: Math.min(left, together) }, makeMessage);
      const startedAt = performance.now();
      await work(messages);
      spentMs += performance.now() - startedAt;
    }
    return (1_000 * spentMs) / count;
  };
  const processAll = (inbox: typeof batched, messages: readonly ReceivedMessage[]): Promise<void> =>
    Promise.all(messages.map((next) => inbox.process({ message: next, redelivered: false }))).then((processed) => {
      if (processed.some(({ kind }) => kind !== "done")) throw new Error("A message was not handled: this measures nothing.");
    });
  const inUnit = (work: (tx: OwnedTx) => Promise<unknown>): Promise<unknown> =>
    database.unitOfWork((tx) => work(tx), { operation: "bench" });
  const turns = {
    batched: () => each(batches * together, (messages) => processAll(batched, messages)),
    bare: () =>
      each(batches * together, (messages) => inUnit((tx) => tx.query(updateMany[dialect], [JSON.stringify(messages.map(parse))]))),
    oneByOne: () => each((batches * together) / 10, (messages) => processAll(oneByOne, messages)),
    inBatches: () => each((batches * together) / 2, (messages) => processAll(inBatches, messages)),
    bareOneByOne: () =>
      each((batches * together) / 2, (messages) =>
        inUnit(async (tx) => {
          for (const { quantity, sku } of messages.map(parse)) await tx.query(updateOne, [quantity, sku]);
        }),
      ),
  };
  const faster: number[] = [];
  const costs: number[] = [];
  const costsOneByOne: number[] = [];
  try {
    for (let round = 0; round <= rounds; round += 1) {
      const spent = {
        oneByOne: await turns.oneByOne(),
        batched: await turns.batched(),
        bare: await turns.bare(),
        inBatches: await turns.inBatches(),
        bareOneByOne: await turns.bareOneByOne(),
      };
      const told = Object.entries(spent).map(([name, us]) => `${name} ${us.toFixed(0)} µs`);
      if (round === 0) continue; // it pays for what is compiled and filled the first time
      console.error(`batch/${place}, round ${round}: ${told.join(", ")} per message`);
      faster.push(spent.oneByOne / spent.batched);
      costs.push(spent.bare / spent.batched);
      costsOneByOne.push(spent.bareOneByOne / spent.inBatches);
    }
  } finally {
    for (const inbox of [oneByOne, batched, inBatches]) await inbox.close();
    await database.close();
  }
  const { ratio: besideOneStatement } = benchmarkResult("", costs, 0);
  return [
    benchmarkResult(`batch/${place}-beside-one-by-one`, faster, dialect === "postgres" ? 15 : 8),
    { ...benchmarkResult(`batch/${place}-beside-no-inbox`, costsOneByOne, 0.6), figures: { besideOneStatement } },
  ];
}

interface Measured {
  readonly place: string;
  readonly url: string;
  stop(): Promise<void>;
}

async function serverFor(name: string): Promise<Measured> {
  if (name.includes("://")) return { place: new URL(name).protocol.slice(0, -1), url: name, stop: async () => {} };
  if (name !== "postgres" && name !== "mariadb" && name !== "mysql") {
    throw new Error("--database is postgres, mariadb, mysql, or the URL of a server on which databases may be made.");
  }
  const server = await provideServer({ kind: name });
  if (server.kind === "skipped") throw new Error(`No ${name} to measure on: ${server.reason}. ${server.advice}`);
  console.error(`${name} ${server.version}, ${server.from}`);
  return { place: name, url: server.url, stop: server.stop };
}

/** The same URL, so that commits do not wait for the disk. */
function laxly(dialect: Dialect, url: string): string {
  const lax = new URL(url);
  if (dialect === "postgres") lax.searchParams.set("options", "-c synchronous_commit=off");
  return lax.href;
}

const { place, url, stop } = await serverFor(wanted);
try {
  const own = await testDatabase({ url });
  try {
    const database = openDatabase({ url: own.url });
    const { dialect } = database;
    await migrateUp(database, namespace(dialect), [sqlMigrations, deadLetterMigrations, inboxMigrations]);
    await database.execute(byHandSql[dialect].table, []);
    await database.execute("create table stock (sku int primary key, reserved int not null default 0)", []);
    const rows = Array.from({ length: skus }, (_, sku) => `(${sku})`);
    await database.execute(`insert into stock (sku) values ${rows.join(", ")}`, []);
    await database.close();
    const results = [
      ...(await measureBatches(place, dialect, own.url)),
      ...(process.argv.includes("--batches") ? [] : await measureAll(place, dialect, laxly(dialect, own.url))),
    ];
    if (isJson) console.log(benchmarkJson("inbox", results));
    else console.table(results);
    if (!isSmoke && results.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await own.drop();
  }
} finally {
  await stop();
}
