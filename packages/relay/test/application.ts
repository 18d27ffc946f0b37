/**
 * A connection of the application that uses a ledger, on whichever database: what a test does beside the relay. One statement at a time,
 * nothing of ours in between.
 */
import { createConnection } from "mysql2/promise";
import pg from "pg";

export type ApplicationRow = Readonly<Record<string, unknown>>;

export interface Application {
  readonly dialect: "postgres" | "mysql";
  /** What `append` takes, between `begin` and `commit`. */
  readonly handle: pg.Client;
  /** `?` stands for a value on both databases. 64-bit numbers come as text. */
  run(sql: string | DialectSql, values?: readonly unknown[]): Promise<readonly ApplicationRow[]>;
  end(): Promise<void>;
}

/** One statement, said in both dialects. */
export interface DialectSql {
  readonly postgres: string;
  readonly mysql: string;
}

/** What tests say to the subscription's row, in each dialect's own words. */
const words = {
  postgres: {
    uuid: "gen_random_uuid()",
    inAnHour: "clock_timestamp() + interval '1 hour'",
    aSecondAgo: "clock_timestamp() - interval '1 second'",
    longAgo: "'-infinity'",
    noRanges: "hole_lo = '{}', hole_hi = '{}'",
    range: (low: number, high: number) => `hole_lo = '{${low}}', hole_hi = '{${high}}'`,
  },
  mysql: {
    uuid: "uuid()",
    inAnHour: "utc_timestamp(6) + interval 1 hour",
    aSecondAgo: "utc_timestamp(6) - interval 1 second",
    longAgo: "'1970-01-01'",
    noRanges: "holes = '[]'",
    range: (low: number, high: number) => `holes = '[${low},${high - low + 1}]'`,
  },
} as const;

/** One statement with these words in it. */
export function inBoth(text: (own: (typeof words)["postgres" | "mysql"]) => string): DialectSql {
  return { postgres: text(words.postgres), mysql: text(words.mysql) };
}

export async function connectApplication(url: string): Promise<Application> {
  return url.startsWith("postgres") ? await connectPostgres(url) : await connectMysql(url);
}

async function connectPostgres(url: string): Promise<Application> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined); // the statement that is under way rejects
  await client.connect();
  return {
    dialect: "postgres",
    handle: client,
    async run(sql, values = []) {
      let place = 0;
      const text = (typeof sql === "string" ? sql : sql.postgres).replaceAll("?", () => `$${++place}`);
      return (await client.query(text, [...values])).rows as ApplicationRow[];
    },
    end: () => client.end(),
  };
}

async function connectMysql(url: string): Promise<Application> {
  const connection = await createConnection({ uri: url, supportBigNumbers: true, bigNumberStrings: true });
  connection.on("error", () => undefined); // the statement that is under way rejects
  return {
    dialect: "mysql",
    // A mysql2 connection fits `append` as well; the tests' one type is the other's.
    handle: connection as unknown as pg.Client,
    async run(sql, values = []) {
      const [rows] = await connection.query(typeof sql === "string" ? sql : sql.mysql, [...values]);
      return Array.isArray(rows) ? (rows as ApplicationRow[]) : [];
    },
    end: async () => connection.destroy(),
  };
}
