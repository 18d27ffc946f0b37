/**
 * drain/…: the relay drains the ledger into a transport that confirms at once, beside a bare loop of the driver over the same rows: one
 * connection, `select` of the same columns by id in batches of 500, rows as the driver parses them, one read after the other, nothing done
 * with them. The relay does all it does in production: lease, cursor saves, holes, lanes, headers, one outcome per message. Its time runs
 * from its first call of the transport to its last confirm; the read before that is one of hundreds.
 *
 * The two do not parse alike: the driver makes a string of each payload and a `Date` of each time, the relay leaves a payload the bytes
 * that it is and makes a number of the time. That is what a relay needs, and what reading past the driver's rows is for.
 */
import type { Transport } from "@waybill/core";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, compare, timed } from "@waybill/testing";
import mysql from "mysql2/promise";
import pg from "pg";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { type Cost, costOf, perMessage } from "./measure.ts";

export async function measureDrain(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 2_000 : 200_000;
  const url = await server.newDatabase(rows);
  say(`draining ${rows} rows, three rounds`);
  const costs = { relay: [] as Cost[], bare: [] as Cost[] };
  const told = async (of: keyof typeof costs, work: () => Promise<number>): Promise<number> => {
    const cost = await costOf(server, work);
    costs[of].push(cost);
    return cost.ms;
  };
  const result = await compare({
    name: `drain/${server.name}`,
    target: 0.9,
    ours: () => told("relay", () => drain(url, rows)),
    bare: () => told("bare", () => (server.dialect === "postgres" ? readPostgres(url) : readMysql(url))),
    onRound: ({ oursMs, bareMs }) => say(`  relay ${Math.round(rows / oursMs)} k rows/s, bare ${Math.round(rows / bareMs)} k rows/s`),
  });
  // The first of each was the round that does not count.
  return { ...result, figures: { ...perMessage("relay", costs.relay.slice(1), rows), ...perMessage("bare", costs.bare.slice(1), rows) } };
}

/** Milliseconds from the first call of the transport to the last confirm, of `rows` messages from the beginning, or from where the cursor is. */
export async function drain(url: string, rows: number, from: "beginning" | "cursor" = "beginning"): Promise<number> {
  const database = openDatabase({ url });
  if (from === "beginning") await database.execute("delete from waybill_subscription", []);
  const stop = new AbortController();
  let confirmed = 0;
  let startedMs = 0;
  let endedMs = 0;
  const transport: Transport = {
    publish: (batch) => {
      if (startedMs === 0) startedMs = performance.now();
      confirmed += batch.length;
      if (confirmed >= rows) {
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

async function readPostgres(url: string): Promise<number> {
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

async function readMysql(url: string): Promise<number> {
  const connection = await mysql.createConnection({ uri: url });
  const read =
    "select id, message_id, type, topic, `key`, headers, payload, payload_bytes, created_at from waybill_outbox where id > ? order by id limit 500";
  const tookMs = await timed(async () => {
    let last = 0;
    for (;;) {
      const [rows] = await connection.query(read, [last]);
      const end = (rows as { readonly id: number }[]).at(-1);
      if (end === undefined) break;
      last = end.id;
    }
  });
  connection.destroy();
  return tookMs;
}
