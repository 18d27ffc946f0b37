/**
 * `npm run bench -- relay [--json] [--smoke]`: what the relay costs above reading.
 *
 * drain/postgres   The relay drains the ledger into a transport that confirms at once, beside a bare loop of the driver over the
 *                  same rows: one pg client, `select` of the same columns by id in batches of 500, rows as the driver parses them,
 *                  one read after the other, nothing done with them. The relay does all it does in production: lease, cursor
 *                  saves, holes, lanes, headers, one outcome per message. Its time runs from its first call of the transport to its last
 *                  confirm; the read before that is one of four hundred.
 * rss/1m-waiting   Memory of a relay process with a million rows waiting, as the share of 200 MiB that is left free of it:
 *                  200 MiB / its largest resident set, so that 1 and above is good.
 */
import { fileURLToPath } from "node:url";
import type { Transport } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { outboxMigrations } from "@waybill/outbox";
import { createRelay, relayMigrations } from "@waybill/relay";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, compare, startChild, startPostgres, timed } from "@waybill/testing";
import pg from "pg";

const isSmoke = process.argv.includes("--smoke");
const isJson = process.argv.includes("--json");
const rowsToDrain = isSmoke ? 2_000 : 200_000;
const rowsWaiting = isSmoke ? 5_000 : 1_000_000;
const rssMax = 200 * 1024 * 1024;

const say = (text: string): void => console.error(text);

/** Rows as `append` writes them, 500 bytes of payload, a thousand keys. */
const fill = `
  insert into waybill_outbox (message_id, type, topic, key, headers, payload)
  select gen_random_uuid(), 'shop.order.placed.v1', 'orders', 'order-' || (i % 1000),
         '{"ce-source":"/order-service","content-type":"application/json"}', rpad('{"orderId":"' || i || '","note":"', 498, 'x') || '"}'
  from generate_series(1, $1::int) as i`;

const server = await startPostgres({});
try {
  const results: BenchmarkResult[] = [];
  const url = await newDatabase("bench_drain", rowsToDrain);
  say(`draining ${rowsToDrain} rows, three rounds`);
  results.push(
    await compare({
      name: "drain/postgres",
      target: 0.8,
      ours: () => drain(url),
      bare: () => readBare(url),
      onRound: ({ oursMs, bareMs }) =>
        say(`  relay ${Math.round(rowsToDrain / oursMs)} k rows/s, bare ${Math.round(rowsToDrain / bareMs)} k rows/s`),
    }),
  );
  const waitingUrl = await newDatabase("bench_rss", rowsWaiting);
  say(`memory with ${rowsWaiting} rows waiting`);
  const rss: number[] = [];
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) rss.push(await largestRss(waitingUrl));
  results.push(
    benchmarkResult(
      "rss/1m-waiting",
      rss.map((bytes) => rssMax / bytes),
      1,
    ),
  );
  say(`  largest resident set ${rss.map((bytes) => Math.round(bytes / 1024 / 1024)).join(", ")} MiB`);
  for (const { name, ratio, min, max, target, met } of results)
    say(`${name}: ${ratio} (${min}–${max}), target ${target}: ${met ? "met" : "missed"}`);
  if (isJson) console.log(benchmarkJson("relay", results));
} finally {
  await server.stop();
}

async function newDatabase(name: string, rows: number): Promise<string> {
  const admin = new pg.Client(server.url);
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const database = openDatabase({ url: url.href });
  await migrateUp(database, namespace("postgres"), [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations]);
  await database.close();
  const client = new pg.Client(url.href);
  await client.connect();
  await client.query(fill, [rows]);
  await client.query("vacuum analyze");
  await client.end();
  return url.href;
}

/** Milliseconds from the first call of the transport to the last confirm. */
async function drain(url: string): Promise<number> {
  const database = openDatabase({ url });
  await database.query("delete from waybill_subscription", []);
  const stop = new AbortController();
  let confirmed = 0;
  let startedMs = 0;
  let endedMs = 0;
  const transport: Transport = {
    publish: (batch) => {
      if (startedMs === 0) startedMs = performance.now();
      confirmed += batch.length;
      if (confirmed >= rowsToDrain) {
        endedMs = performance.now();
        stop.abort();
      }
      return Promise.resolve(batch.map(() => ({ kind: "confirmed" }) as const));
    },
    close: () => Promise.resolve(),
  };
  await createRelay({ database, transport }).run({ signal: stop.signal });
  await database.close();
  return endedMs - startedMs;
}

async function readBare(url: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  const read =
    "select id, message_id, type, topic, key, headers, payload, payload_bytes, created_at from waybill_outbox where id > $1 order by id limit 500";
  const tookMs = await timed(async () => {
    let last = "0";
    for (;;) {
      const { rows } = await client.query<{ id: string }>({ name: "read", text: read, values: [last] });
      const end = rows.at(-1);
      if (end === undefined) break;
      last = end.id;
    }
  });
  await client.end();
  return tookMs;
}

/** Bytes of the largest resident set of a relay process that drains everything. */
async function largestRss(url: string): Promise<number> {
  const child = await startChild(fileURLToPath(new URL("./drain.child.js", import.meta.url)), { args: [url, String(rowsWaiting)] });
  const event = await child.waitFor((one) => one["name"] === "drained", { deadlineMs: 300_000 });
  await child.exited;
  return Number(event["rssBytesMax"]);
}
