import { catalogue, message, newMessageId, type ReceivedMessage, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations, type Tx } from "@waybill/sql";
import { testDatabase } from "@waybill/testing";
import { createInbox, type Inbox, type InboxOptions, inboxMigrations } from "../src/index.ts";

export interface OrderPlaced {
  readonly orderId: string;
}

export const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
  orderPaid: message<OrderPlaced>({ type: "shop.order.paid.v1", topic: "orders", key: (order) => order.orderId }),
});

/** A database with the tables of an inbox, and a table of effects that shows every double. */
export interface InboxFixture {
  readonly url: string;
  readonly database: Database;
  /** Makes an inbox of consumer `c`, with what it reports in `events`. */
  inbox(options?: Partial<InboxOptions>): { readonly inbox: Inbox; readonly events: WaybillEvent[] };
  /** Message ids in the order of their effects. */
  effects(consumer?: string): Promise<readonly string[]>;
  /** `messageId state reason` of each dead letter, in the order of their places. */
  letters(consumer?: string): Promise<readonly string[]>;
  count(table: "inbox" | "inbox_attempt" | "audit", where?: string): Promise<number>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export const space = namespace("postgres");

/** Writes the effect of a message: what a handler of these tests does. */
export const effect = async (tx: Tx, messageId: string, consumer = "c"): Promise<void> => {
  await tx.query("insert into effect (consumer, message_id) values ($1, $2)", [consumer, messageId]);
};

export async function inboxFixture(server?: string): Promise<InboxFixture> {
  const place = await testDatabase(server === undefined ? {} : { server });
  const database = openDatabase({ url: place.url, connections: 10 });
  await migrateUp(database, space, [sqlMigrations, deadLetterMigrations, inboxMigrations]);
  await database.query(
    "create table effect (id bigint generated always as identity, consumer text not null, message_id text not null)",
    [],
  );
  return {
    url: place.url,
    database,
    inbox(options = {}) {
      const events: WaybillEvent[] = [];
      const inbox = createInbox({
        consumer: "c",
        database,
        backoff: { firstMs: 1, maxMs: 5 },
        onEvent: (event) => events.push(event),
        ...options,
      });
      return { inbox, events };
    },
    async effects(consumer = "c") {
      const rows = await database.query("select message_id from effect where consumer = $1 order by id", [consumer]);
      return rows.map((row) => row["message_id"] as string);
    },
    async letters(consumer = "c") {
      const sql =
        "select message_id, state, reason from waybill_dead_letter where origin = 'inbox' and reader = $1 order by sequence, position";
      const rows = await database.query(sql, [consumer]);
      return rows.map((row) => `${String(row["message_id"])} ${String(row["state"])} ${String(row["reason"])}`);
    },
    async count(table, where = "true") {
      const [row] = await database.query(`select count(*)::int as rows from waybill_${table} where ${where}`, []);
      return row?.["rows"] as number;
    },
    async clear() {
      await database.query("truncate effect, waybill_inbox, waybill_inbox_attempt, waybill_dead_letter, waybill_audit", []);
    },
    async close() {
      await database.close();
      await place.drop();
    },
  };
}

let sequence = 0n;

/** A message as a source delivers it: type placed, key `k`, created just now by the clock of this machine. */
export function placed(over: Partial<ReceivedMessage> = {}): ReceivedMessage {
  sequence += 1n;
  const made = shop.orderPlaced({ orderId: "k" });
  return {
    id: newMessageId(),
    type: made.type,
    topic: made.topic,
    key: made.key,
    headers: made.headers,
    payload: Buffer.from(made.payload as string),
    sequence,
    createdAtMs: Date.now(),
    ...over,
  };
}
