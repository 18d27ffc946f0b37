import { createConnection } from "mysql2/promise";
import pg from "pg";

const deadlineMs = 20_000;

/**
 * Runs one statement on a connection of its own and answers its rows. On MySQL and MariaDB names may be quoted as everywhere else; 64-bit
 * numbers are text.
 */
export async function query<Row extends object>(url: string, sql: string): Promise<readonly Row[]> {
  return url.startsWith("postgres") ? await queryPostgres(url, sql) : await queryMysql(url, sql);
}

async function queryPostgres<Row>(url: string, sql: string): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: deadlineMs, query_timeout: deadlineMs });
  // A connection that breaks also fails the statement, which reports it.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

async function queryMysql<Row>(url: string, sql: string): Promise<readonly Row[]> {
  const connection = await createConnection({
    uri: url.replace(/^mariadb:/, "mysql:"),
    connectTimeout: deadlineMs,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  try {
    await connection.query("set session sql_mode = concat(@@sql_mode, ',ANSI_QUOTES')");
    const [rows] = await connection.query({ sql, timeout: deadlineMs });
    return rows as Row[];
  } finally {
    connection.destroy();
  }
}
