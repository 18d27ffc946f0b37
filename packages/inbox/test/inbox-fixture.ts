import { catalogue, message, newMessageId, type ReceivedMessage, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { type Database, migrateUp, type Namespace, namespace, openDatabase, sqlMigrations, type Tx } from "@waybill/sql";
import { type TestDatabaseServer, testDatabase } from "@waybill/testing";
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
  readonly space: Namespace;
  /** A statement with `$1`, `$2`, … in this order, in the dialect's own placeholders. */
  sql(text: string): string;
  /** What a COMMIT is on the wire, and nothing else: the sessions' own settings are about commits, too. */
  readonly commit: string;
  /** A statement that takes so many seconds. */
  sleep(seconds: number): string;
  /** Makes an inbox of consumer `c`, with what it reports in `events`. */
  inbox(options?: Partial<InboxOptions>): { readonly inbox: Inbox; readonly events: WaybillEvent[] };
  /** What a handler of these tests does: writes the effect of a message. */
  effect(tx: Tx, messageId: string, consumer?: string): Promise<void>;
  /** Message ids in the order of their effects. */
  effects(consumer?: string): Promise<readonly string[]>;
  /** `messageId state reason` of each dead letter, in the order of their places. */
  letters(consumer?: string): Promise<readonly string[]>;
  /** Ids of the messages that a consumer has handled, ascending. */
  handled(consumer?: string): Promise<readonly string[]>;
  /** Makes a consumer remember that it has handled messages, so many hours ago. */
  remember(consumer: string, messageIds: readonly string[], hoursAgo: number): Promise<void>;
  count(table: "inbox" | "inbox_attempt" | "inbox_version" | "inbox_result" | "audit", where?: string): Promise<number>;
  /** How many sessions of this database have a transaction open. */
  openTransactions(): Promise<number>;
  /** How many sessions of this database run a statement in which this stands. */
  running(text: string): Promise<number>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** What is said in each dialect's own words. */
const words = {
  postgres: {
    id: "bigint generated always as identity",
    messageId: "message_id",
    sleep: "pg_sleep",
    hoursAgo: (hours: number) => `clock_timestamp() - interval '${hours} hours'`,
    token: "",
    open: "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in%'",
    running:
      "select 1 from pg_stat_activity where datname = current_database() and state = 'active' and strpos(query, $1) > 0 and pid <> pg_backend_pid()",
  },
  mysql: {
    id: "bigint auto_increment primary key",
    messageId: "convert(message_id using utf8mb4) as message_id",
    sleep: "sleep",
    hoursAgo: (hours: number) => `utc_timestamp(6) - interval ${hours} hour`,
    token: "uuid()",
    open: `select 1 from information_schema.innodb_trx
           join information_schema.processlist as session on session.id = trx_mysql_thread_id where session.db = database()`,
    running:
      "select 1 from information_schema.processlist where db = database() and command = 'Query' and instr(info, ?) > 0 and id <> connection_id()",
  },
} as const;

/** COMMIT with what stands before it: on MariaDB the byte of the command, on MySQL a count that follows it. */
function commitOn({ dialect, name }: TestDatabaseServer): string {
  if (dialect === "postgres") return "commit";
  return name.startsWith("mariadb") ? "\u0003commit" : "\u0001commit";
}

export async function inboxFixture(server: TestDatabaseServer): Promise<InboxFixture> {
  const { dialect } = server;
  const place = await testDatabase({ server: server.name });
  const database = openDatabase({ url: place.url, connections: 10 });
  const space = namespace(dialect);
  const own = words[dialect];
  const sql = (text: string): string => (dialect === "mysql" ? text.replaceAll(/\$\d+/g, "?") : text);
  await migrateUp(database, space, [sqlMigrations, deadLetterMigrations, inboxMigrations]);
  await database.query(
    `create table effect (id ${own.id}, consumer varchar(100) not null default 'c', message_id varchar(255) not null)`,
    [],
  );
  return {
    url: place.url,
    database,
    space,
    sql,
    commit: commitOn(server),
    sleep: (seconds) => `select ${own.sleep}(${seconds})`,
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
    async effect(tx, messageId, consumer = "c") {
      await tx.query(sql("insert into effect (consumer, message_id) values ($1, $2)"), [consumer, messageId]);
    },
    async effects(consumer = "c") {
      const rows = await database.query(sql("select message_id from effect where consumer = $1 order by id"), [consumer]);
      return rows.map((row) => row["message_id"] as string);
    },
    async letters(consumer = "c") {
      const text = `select ${own.messageId}, state, reason from waybill_dead_letter where origin = 'inbox' and reader = $1 order by sequence, position`;
      const rows = await database.query(sql(text), [consumer]);
      return rows.map((row) => `${String(row["message_id"])} ${String(row["state"])} ${String(row["reason"])}`);
    },
    async handled(consumer = "c") {
      const text = `select ${own.messageId} from waybill_inbox where consumer = $1 order by waybill_inbox.message_id`;
      return (await database.query(sql(text), [consumer])).map((row) => row["message_id"] as string);
    },
    async remember(consumer, messageIds, hoursAgo) {
      const columns = `consumer, message_id, fingerprint, handled_at${own.token === "" ? "" : ", token"}`;
      const row = (id: string): string =>
        `('${consumer}', '${id}', 'f', ${own.hoursAgo(hoursAgo)}${own.token === "" ? "" : `, ${own.token}`})`;
      await database.execute(`insert into waybill_inbox (${columns}) values ${messageIds.map(row).join(", ")}`, []);
    },
    async count(table, where = "true") {
      const [row] = await database.query(`select count(*) as counted from waybill_${table} where ${where}`, []);
      return Number(row?.["counted"]);
    },
    openTransactions: async () => (await database.query(own.open, [])).length,
    running: async (text) => (await database.query(own.running, [text])).length,
    async clear() {
      for (const table of [
        "effect",
        "waybill_inbox",
        "waybill_inbox_attempt",
        "waybill_inbox_version",
        "waybill_inbox_result",
        "waybill_dead_letter",
        "waybill_audit",
      ]) {
        await database.execute(`delete from ${table}`, []);
      }
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
