import { randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { waybill } from "./waybill.ts";

/** A destination that counts what arrives, by message id, and answers as told; default 200. */
export interface Destination {
  readonly url: string;
  readonly ids: string[];
  readonly headers: Readonly<Record<string, unknown>>[];
  answer: (response: ServerResponse, id: string) => void;
  close(): Promise<void>;
}

export async function startDestination(): Promise<Destination> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const id = String(request.headers["ce-id"]);
      destination.ids.push(id);
      destination.headers.push(request.headers);
      destination.answer(response, id);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const destination: Destination = {
    url: `http://127.0.0.1:${port}/{topic}`,
    ids: [],
    headers: [],
    answer: (response) => response.end(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return destination;
}

/** Runs a statement; on PostgreSQL parameters are `$1`, on MySQL and MariaDB `?`, and several statements may come together. */
export async function query(url: string, sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
  if (isMysql(url)) {
    const connection = await createConnection({ uri: url, multipleStatements: true });
    try {
      const [rows] = await connection.query(sql, [...values]);
      return rows as readonly Record<string, unknown>[];
    } finally {
      await connection.end();
    }
  }
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}

export function isMysql(url: string): boolean {
  return url.startsWith("mysql:");
}

/** Rows as a service in any language would insert them; answers their message ids. */
export async function insertMessages(
  url: string,
  count: number,
  { topic = "orders", key = null }: { topic?: string; key?: string | null } = {},
): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  const columns = (quote: string): string => `message_id, type, topic, ${quote}key${quote}, headers, payload`;
  if (isMysql(url)) {
    const rows = ids.map((id) => [id, "shop.order.placed.v1", topic, key, '{"ce-source":"/test"}', "{}"]);
    await query(url, `insert into waybill_outbox (${columns("`")}) values ?`, [rows]);
  } else {
    await query(
      url,
      `insert into waybill_outbox (${columns('"')})
       select id, 'shop.order.placed.v1', $1, $2, '{"ce-source":"/test"}', '{}' from unnest($3::uuid[]) with ordinality as ids (id, place) order by place`,
      [topic, key, ids],
    );
  }
  return ids;
}

/** Takes away what a test left, in tables that are there. */
export async function emptyTables(url: string): Promise<void> {
  for (const table of ["dead_letter", "subscription", "audit", "outbox"]) await query(url, `delete from waybill_${table}`);
}

export async function migrate(url: string): Promise<void> {
  const { code, stderr } = await waybill(["migrate", "up"], { WAYBILL_DATABASE: url });
  if (code !== 0) throw new Error(stderr);
}
