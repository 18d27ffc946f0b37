import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
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

export async function query(url: string, sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** Rows as a service in any language would insert them; answers their message ids. */
export async function insertMessages(
  url: string,
  count: number,
  { topic = "orders", key = null }: { topic?: string; key?: string | null } = {},
): Promise<readonly string[]> {
  const rows = await query(
    url,
    `insert into waybill_outbox (message_id, type, topic, key, headers, payload)
     select gen_random_uuid(), 'shop.order.placed.v1', $1, $2, '{"ce-source":"/test"}', '{}' from generate_series(1, $3)
     returning message_id`,
    [topic, key, count],
  );
  return rows.map((row) => String(row["message_id"]));
}

export async function migrate(url: string): Promise<void> {
  const { code, stderr } = await waybill(["migrate", "up"], { WAYBILL_DATABASE: url });
  if (code !== 0) throw new Error(stderr);
}
