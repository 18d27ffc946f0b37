import { type Connection, createConnection } from "mysql2";
import { AuditInputError } from "../audit-input-error.ts";
import type { DatabasePlace, Query } from "../database-place.ts";
import type { Fields } from "../fields.ts";

/**
 * Runs the queries on one snapshot and answers the rows of each, as they stream in: so a row is either in all answers or in none.
 * 64-bit numbers are text.
 *
 * Throws `AuditInputError` with the server's code, or what the connection failed of, as its rule.
 */
export async function readAll(place: DatabasePlace, queries: readonly Query[]): Promise<Fields[][]> {
  const deadlineMs = place.deadlineMs ?? 60_000;
  let connection: Connection | null = null;
  try {
    connection = createConnection({
      uri: place.url.replace(/^mariadb:/, "mysql:"),
      connectTimeout: deadlineMs,
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
    });
    // A connection that breaks while idle also fails the next query, which reports it; without a listener it would end the process.
    connection.on("error", () => undefined);
    await rowsOf(connection, { sql: "set session transaction isolation level repeatable read" }, deadlineMs);
    await rowsOf(connection, { sql: "start transaction with consistent snapshot, read only" }, deadlineMs);
    const answers: Fields[][] = [];
    for (const query of queries) answers.push(await rowsOf(connection, query, deadlineMs));
    return answers;
  } catch (cause) {
    const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "no code";
    throw new AuditInputError("mysql", `could not be read (${code})`, { cause });
  } finally {
    // The snapshot goes with its connection, and so does a statement that was given up.
    connection?.destroy();
  }
}

function rowsOf(connection: Connection, { sql, values = [] }: Query, deadlineMs: number): Promise<Fields[]> {
  return new Promise((resolve, reject) => {
    const rows: Fields[] = [];
    const stream = connection.query({ sql, values: [...values], timeout: deadlineMs }).stream();
    stream.on("data", (row: Fields) => rows.push(row));
    stream.once("error", reject);
    stream.once("end", () => resolve(rows));
  });
}
