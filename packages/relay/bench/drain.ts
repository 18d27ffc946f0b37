/**
 * drain/…: the relay drains the ledger into a transport that confirms at once, beside a bare loop of the driver over the same rows: one
 * connection, `select` of the same columns by id in batches of 500, rows as the driver parses them, one read after the other, nothing done
 * with them. The relay does all it does in production: lease, cursor saves, holes, lanes, headers, one outcome per message. Its time runs
 * from its first call of the transport to its last confirm; the read before that is one of four hundred.
 */
import type { Transport } from "@waybill/core";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, compare, timed } from "@waybill/testing";
import mysql from "mysql2/promise";
import pg from "pg";
import type { BenchServer, Measuring } from "./bench-servers.ts";

export async function measureDrain(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 2_000 : 200_000;
  const url = await server.newDatabase(rows);
  say(`draining ${rows} rows, three rounds`);
  return await compare({
    name: `drain/${server.name}`,
    target: 0.8,
    ours: () => drain(url, rows),
    bare: () => (server.dialect === "postgres" ? readPostgres(url) : readMysql(url)),
    onRound: ({ oursMs, bareMs }) => say(`  relay ${Math.round(rows / oursMs)} k rows/s, bare ${Math.round(rows / bareMs)} k rows/s`),
  });
}

/** Milliseconds from the first call of the transport to the last confirm. */
async function drain(url: string, rows: number): Promise<number> {
  const database = openDatabase({ url });
  await database.execute("delete from waybill_subscription", []);
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
