import pg from "pg";

const deadlineMs = 20_000;

/** Runs one statement on a connection of its own and answers its rows. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly string[] = [],
): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: deadlineMs, query_timeout: deadlineMs });
  // A connection that breaks also fails the statement, which reports it.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
