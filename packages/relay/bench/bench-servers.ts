/** The database server of a benchmark, and databases on it that are filled with messages. */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { relayMigrations } from "@waybill/relay";
import { type Dialect, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { cpuMsOf, provideServer, startPostgres, testDatabase } from "@waybill/testing";
import mysql from "mysql2/promise";
import pg from "pg";

export interface Measuring {
  readonly isSmoke: boolean;
  readonly say: (text: string) => void;
}

export interface BenchServer {
  /** `postgres`, `mariadb`, `mysql`. */
  readonly name: string;
  readonly version: string;
  readonly dialect: Dialect;
  /** A database with all tables and so many messages: 500 bytes of payload, a thousand keys, as `append` writes them. Answers its URL. */
  newDatabase(rows: number): Promise<string>;
  /** Milliseconds of CPU that the server has used so far; null unless it was started for this. */
  cpuMs(): Promise<number | null>;
  stop(): Promise<void>;
}

export async function openBenchServer(wanted: string): Promise<BenchServer> {
  const given = await serverOf(wanted);
  const dialect: Dialect = given.url.startsWith("postgres") ? "postgres" : "mysql";
  const drops: (() => Promise<void>)[] = [];
  return {
    name: given.version.includes("MariaDB") ? "mariadb" : dialect,
    version: given.version,
    dialect,
    async newDatabase(rows) {
      const made = await testDatabase({ url: given.url });
      drops.push(() => made.drop());
      const database = openDatabase({ url: made.url });
      const sets = [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations, inboxMigrations];
      await migrateUp(database, namespace(dialect), sets);
      await database.close();
      if (rows > 0) await fill[dialect](made.url, rows);
      return made.url;
    },
    async cpuMs() {
      const pid = given.pid?.() ?? null;
      return pid === null ? null : await cpuMsOf(pid);
    },
    async stop() {
      for (const drop of drops) await drop();
      await given.stop();
    },
  };
}

interface GivenServer {
  readonly url: string;
  readonly version: string;
  pid?(): number | null;
  stop(): Promise<void>;
}

async function serverOf(wanted: string): Promise<GivenServer> {
  if (wanted === "postgres") return await startPostgres({});
  if (wanted === "mariadb" || wanted === "mysql") {
    const provided = await provideServer({ kind: wanted });
    if (provided.kind === "skipped") throw new Error(`No ${wanted} to measure: ${provided.reason}. ${provided.advice}`);
    return {
      url: provided.url,
      version: wanted === "mariadb" ? `MariaDB ${provided.version}` : provided.version,
      stop: () => provided.stop(),
    };
  }
  const isPostgres = wanted.startsWith("postgres");
  const version = isPostgres ? "as given" : String((await queryMysql(wanted, "select version() as version"))[0]?.["version"]);
  return { url: wanted, version, stop: async () => undefined };
}

async function queryMysql(url: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const connection = await mysql.createConnection({ uri: url.replace(/^mariadb:/, "mysql:") });
  try {
    const [rows] = await connection.query(sql);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  } finally {
    connection.destroy();
  }
}

const headers = '{"ce-source":"/order-service","content-type":"application/json"}';

/** Appends so many messages with so many bytes of payload. */
export async function fillPostgres(url: string, rows: number, payloadBytes: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(
    `insert into waybill_outbox (message_id, type, topic, key, headers, payload)
     select gen_random_uuid(), 'shop.order.placed.v1', 'orders', 'order-' || (i % 1000), '${headers}',
            rpad('{"orderId":"' || i || '","note":"', $2::int - 2, 'x') || '"}'
     from generate_series(1, $1::int) as i`,
    [rows, payloadBytes],
  );
  await client.end();
}

const fill: Readonly<Record<Dialect, (url: string, rows: number) => Promise<void>>> = {
  async postgres(url, rows) {
    await fillPostgres(url, rows, 500);
    const client = new pg.Client(url);
    await client.connect();
    await client.query("vacuum analyze");
    await client.end();
  },
  async mysql(url, rows) {
    const perStatement = 1_000;
    for (let from = 1; from <= rows; from += perStatement) {
      const count = Math.min(perStatement, rows - from + 1);
      await queryMysql(
        url,
        `insert into waybill_outbox (message_id, type, topic, \`key\`, headers, payload)
         with recursive n as (select ${from} as i union all select i + 1 from n where i < ${from + count - 1})
         select uuid(), 'shop.order.placed.v1', 'orders', concat('order-', i % 1000), '${headers}',
                concat(rpad(concat('{"orderId":"', i, '","note":"'), 498, 'x'), '"}')
         from n`,
      );
    }
    await queryMysql(url, "analyze table waybill_outbox");
  },
};
