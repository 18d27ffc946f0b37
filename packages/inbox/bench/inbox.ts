/**
 * What the inbox costs: the same work as a transaction written by hand – dedupe row, update, commit – and with `inbox.process`.
 *
 * Both parse the payload and take a message that nobody has handled, in steady state: nothing is redelivered, no dead letter is open. The
 * inbox also looks whether the message or its key is among the dead letters, whether it is too old, and whether its content is what came
 * under its id before. Once one message after the other on one connection, once eight at a time on eight. The two take turns in short
 * stretches, so that whatever else the machine does meets both. Commits do not wait for the disk here: it would hide the difference.
 *
 * The targets are 0.6 and 0.5. The round trips are the same four; what is more is the client's and the server's own work, which shows the
 * more, the less they wait for each other: on two cores eight at a time leave nothing idle. Options: --json, --smoke.
 */
import { catalogue, message, newMessageId, type ReceivedMessage } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createInbox, inboxMigrations } from "@waybill/inbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, provideServer, testDatabase } from "@waybill/testing";
import pg from "pg";

const isSmoke = process.argv.includes("--smoke");
const isJson = process.argv.includes("--json");
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
const insertHandled = "insert into handled_by_hand (consumer, message_id) values ($1, $2) on conflict do nothing returning 1";
const updateStock = "update stock set reserved = reserved + $1 where sku = $2";

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

async function measure(byHand: Handle, withInbox: Handle, atOnce: 1 | 8): Promise<BenchmarkResult> {
  const name = `process/postgres-${atOnce}-at-once`;
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

async function measureAll(url: string): Promise<readonly BenchmarkResult[]> {
  const lax = new URL(url);
  lax.searchParams.set("options", "-c synchronous_commit=off");
  const results: BenchmarkResult[] = [];
  for (const atOnce of [1, 8] as const) {
    const pool = new pg.Pool({ connectionString: lax.href, max: atOnce });
    const database = openDatabase({ url: lax.href, connections: atOnce });
    const inbox = createInbox({ consumer: "bench", database, concurrency: atOnce, prefetch: 0 });
    inbox.on(shop.reserved, async ({ payload }, tx) => void (await tx.query(updateStock, [payload.quantity, payload.sku])));
    const byHand: Handle = async ({ id, payload }) => {
      const client = await pool.connect();
      await client.query("begin");
      const inserted = await client.query(insertHandled, ["bench", id]);
      const reservation = JSON.parse(Buffer.from(payload as Uint8Array).toString()) as Reservation;
      if (inserted.rows.length === 1) await client.query(updateStock, [reservation.quantity, reservation.sku]);
      await client.query("commit");
      client.release();
    };
    const withInbox: Handle = async (next) => {
      const { kind } = await inbox.process({ message: next, redelivered: false });
      if (kind !== "done") throw new Error("A message was not handled: this measures nothing.");
    };
    try {
      results.push(await measure(byHand, withInbox, atOnce));
    } finally {
      await inbox.close();
      await database.close();
      await pool.end();
    }
  }
  return results;
}

const server = await provideServer({ kind: "postgres" });
if (server.kind === "skipped") throw new Error(`No PostgreSQL to measure on: ${server.reason}`);
try {
  console.error(`PostgreSQL ${server.version}, ${server.from}`);
  const own = await testDatabase({ url: server.url });
  try {
    const database = openDatabase({ url: own.url });
    await migrateUp(database, namespace("postgres"), [sqlMigrations, deadLetterMigrations, inboxMigrations]);
    await database.query(
      "create table handled_by_hand (consumer text, message_id text, handled_at timestamptz default now(), primary key (consumer, message_id))",
      [],
    );
    await database.query("create table stock (sku int primary key, reserved int not null default 0)", []);
    await database.query("insert into stock (sku) select * from generate_series(0, $1::int - 1)", [skus]);
    await database.close();
    const results = await measureAll(own.url);
    if (isJson) console.log(benchmarkJson("inbox", results));
    else console.table(results);
    if (!isSmoke && results.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await own.drop();
  }
} finally {
  await server.stop();
}
