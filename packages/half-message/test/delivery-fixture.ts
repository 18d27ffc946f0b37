import { type Random, systemRandom } from "@waybill/core";
import { committedValue, type Database, migrateUp, type Namespace, namespace, type OwnedTx, openDatabase, type Row } from "@waybill/sql";
import { type TestDatabaseServer, testDatabase } from "@waybill/testing";
import { createDeliveryStore } from "../src/create-delivery-store.ts";
import type { DeliveryPolicy } from "../src/delivery-schedule.ts";
import type { DeliveryStore, RoutedMessage } from "../src/delivery-store.ts";
import { halfMessageMigrations } from "../src/index.ts";

/** What a test says of a message; the rest is filled in. */
export interface Sent extends Partial<RoutedMessage> {
  readonly id: string;
  readonly orderKey?: string;
  readonly topic?: string;
  readonly type?: string;
  readonly payload?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A database with the service's tables, and deliveries in it as decisions make them. */
export interface DeliveryFixture {
  readonly url: string;
  readonly database: Database;
  readonly space: Namespace;
  readonly random: Random;
  readonly policies: Map<string, DeliveryPolicy>;
  readonly store: DeliveryStore;
  /** A statement with `$1`, `$2`, … in this order, in the dialect's own placeholders. */
  sql(text: string): string;
  query(text: string, values?: readonly (string | number | null)[]): Promise<readonly Row[]>;
  /** Writes half messages, decided as committed, with a message each, in one transaction. */
  commit(messages: readonly Sent[], database?: Database): Promise<void>;
  /** Writes a half message that is not decided. */
  prepare(message: Sent): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export const usualPolicy: DeliveryPolicy = {
  ack: "implicit",
  ordering: "key",
  keyOrder: "publish",
  publishTimeoutMs: 5_000,
  breaker: { failuresMax: 5, firstMs: 50, maxMs: 200 },
  batch: 100,
  maxAttempts: null,
  giveUpAfterMs: 3_600_000,
  backoff: { firstMs: 50, maxMs: 1_000 },
  ackDeadlineMs: 30_000,
  maxRedeliveries: 20,
};

const words = {
  postgres: { now: "now()", key: "key", text: "$8" },
  mysql: { now: "utc_timestamp(6)", key: "`key`", text: "?" },
} as const;

export async function deliveryFixture(server: TestDatabaseServer): Promise<DeliveryFixture> {
  const own = await testDatabase({ url: server.url });
  const database = openDatabase({ url: own.url, connections: 12 });
  const space = namespace(database.dialect);
  await migrateUp(database, space, [halfMessageMigrations]);
  const policies = new Map<string, DeliveryPolicy>([["kafka", usualPolicy]]);
  const store = createDeliveryStore({ space, random: systemRandom, rulesOf: (destination) => policies.get(destination) ?? null });
  const { now, key } = words[database.dialect];
  const sql = (text: string): string => (database.dialect === "mysql" ? text.replaceAll(/\$[0-9]+/g, "?") : text);

  const insertHalf = async (tx: OwnedTx, message: Sent, isDecided: boolean): Promise<void> => {
    const producer = message.producer ?? "payments";
    const decided = isDecided ? `${now}, 'producer:k', ${now}, null, null` : `null, null, null, ${now}, ${now}`;
    await tx.execute(
      sql(`insert into waybill_half_message
             (producer, id, state, fingerprint, message_count, prepare_token, prepared_by, order_key, order_open, decided_at, decided_by, purge_at, suspend_at, check_at)
           values ($1, $2, $3, $4, 1, 1, 'k', $5, $6, ${decided})`),
      [
        producer,
        message.id,
        isDecided ? "committed" : "prepared",
        new Uint8Array(32),
        message.orderKey ?? null,
        isDecided || message.orderKey === undefined ? null : 1,
      ],
    );
    await tx.execute(
      sql(`insert into waybill_half_message_body (producer, id, ordinal, message_id, type, topic, ${key}, headers, payload, destinations)
           values ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9)`),
      [
        producer,
        message.id,
        message.messageId ?? message.id,
        message.type ?? "t.v1",
        message.topic ?? "orders",
        message.key ?? null,
        JSON.stringify(message.headers ?? {}),
        Buffer.from(message.payload ?? "{}"),
        JSON.stringify(message.destinations ?? ["kafka"]),
      ],
    );
  };

  return {
    url: own.url,
    database,
    space,
    random: systemRandom,
    policies,
    store,
    sql,
    query: (text, values = []) => database.query(sql(text), values),
    async commit(messages, through = database) {
      const work = async (tx: OwnedTx): Promise<void> => {
        for (const message of messages) await insertHalf(tx, message, true);
        await store.insert(tx, messages.map(toRouted));
      };
      committedValue("commit", await through.unitOfWork(work, { operation: "commit" }));
    },
    async prepare(message) {
      committedValue("prepare", await database.unitOfWork((tx) => insertHalf(tx, message, false), { operation: "prepare" }));
    },
    async clear() {
      for (const table of ["delivery", "delivery_lane", "delivery_attempt", "half_message", "half_message_body", "receiver"])
        await database.query(`delete from waybill_${table}`, []);
    },
    async close() {
      await database.close();
      await own.drop();
    },
  };
}

function toRouted(message: Sent): RoutedMessage {
  return {
    producer: message.producer ?? "payments",
    id: message.id,
    ordinal: 0,
    messageId: message.messageId ?? message.id,
    key: message.key ?? null,
    businessKey: message.businessKey ?? null,
    delayMs: message.delayMs ?? 0,
    destinations: message.destinations ?? ["kafka"],
  };
}
