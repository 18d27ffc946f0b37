import pg from "pg";
import { AuditInputError } from "../audit-input-error.ts";
import type { DatabasePlace, Query } from "../database-place.ts";
import type { Fields } from "../fields.ts";

const pageRows = 20_000;

/**
 * Runs the queries on one snapshot and answers the rows of each, read in pages through a cursor: so a row is either in all
 * answers or in none, and a million rows do not arrive at once.
 *
 * Throws `AuditInputError` with the SQLSTATE, or what the connection failed of, as its rule.
 */
export async function readAll(place: DatabasePlace, queries: readonly Query[]): Promise<Fields[][]> {
  const deadlineMs = place.deadlineMs ?? 60_000;
  const client = new pg.Client({
    connectionString: place.url,
    application_name: "waybill-auditor",
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
    statement_timeout: deadlineMs,
  });
  // A connection that breaks while idle also fails the next query, which reports it; without a listener it would end the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("begin transaction isolation level repeatable read, read only");
    const answers: Fields[][] = [];
    for (const query of queries) answers.push(await readPages(client, query));
    await client.query("rollback");
    return answers;
  } catch (cause) {
    const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "no code";
    throw new AuditInputError("postgres", `could not be read (${code})`, { cause });
  } finally {
    await client.end();
  }
}

async function readPages(client: pg.Client, { sql, values = [] }: Query): Promise<Fields[]> {
  const rows: Fields[] = [];
  await client.query(`declare waybill_audit_page no scroll cursor for ${sql}`, [...values]);
  for (;;) {
    const page = await client.query<Record<string, unknown>>(`fetch ${pageRows} from waybill_audit_page`);
    for (const row of page.rows) rows.push(row);
    if (page.rows.length < pageRows) break;
  }
  await client.query("close waybill_audit_page");
  return rows;
}
