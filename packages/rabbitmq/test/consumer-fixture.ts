import { catalogue, message, newMessageId, type OnEvent, type OutgoingMessage, type Source, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createInbox, type Inbox, type InboxOptions, inboxMigrations } from "@waybill/inbox";
import { migrateUp, namespace, openDatabase, sqlMigrations, type Tx } from "@waybill/sql";
import { testDatabase, waitUntil } from "@waybill/testing";

export const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly n: number }>({ type: "shop.placed.v1", topic: "orders" }),
});

let sequence = 0n;

/** A message as a relay would publish it, for the key `k<key>`. */
export function placed(key: number | null, over: Partial<OutgoingMessage> = {}): OutgoingMessage {
  sequence += 1n;
  const made = shop.placed({ n: Number(sequence) });
  return {
    id: newMessageId(),
    type: made.type,
    topic: made.topic,
    key: key === null ? null : `k${key}`,
    headers: made.headers,
    payload: Buffer.from(made.payload as string),
    sequence,
    createdAtMs: Date.now(),
    ...over,
  };
}

/** So many messages, spread over so many keys, in order. */
export function placedOf(count: number, keys: number): readonly OutgoingMessage[] {
  return Array.from({ length: count }, (_, n) => placed(n % keys));
}

/** An inbox that runs over a source. */
export interface Consuming {
  readonly inbox: Inbox;
  readonly events: readonly WaybillEvent[];
  /** How many events of that name there were. */
  count(name: WaybillEvent["name"]): number;
  /** Stops it, and rejects with what it ended with. */
  stop(): Promise<void>;
}

/** A database with an inbox's tables, and a table of effects that shows every double. */
export interface ConsumerFixture {
  readonly url: string;
  /** Runs an inbox of consumer `c` over the source that is made; its handler has one effect and then does what `then` says. */
  consume(
    source: (onEvent: OnEvent) => Source,
    then?: (messageId: string, tx: Tx) => Promise<void> | void,
    options?: Partial<InboxOptions>,
  ): Consuming;
  /** Message ids in the order of their effects. */
  effects(): Promise<readonly string[]>;
  /** `messageId state reason` of each dead letter. */
  letters(): Promise<readonly string[]>;
  untilEffects(count: number, deadlineMs?: number): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function consumerFixture(): Promise<ConsumerFixture> {
  const place = await testDatabase();
  const database = openDatabase({ url: place.url, connections: 12 });
  await migrateUp(database, namespace("postgres"), [sqlMigrations, deadLetterMigrations, inboxMigrations]);
  await database.query("create table effect (id bigint generated always as identity, message_id text not null)", []);
  const effects = async (): Promise<readonly string[]> => {
    const rows = await database.query("select message_id from effect order by id", []);
    return rows.map((row) => row["message_id"] as string);
  };
  return {
    url: place.url,
    consume(source, then = () => undefined, options = {}) {
      const events: WaybillEvent[] = [];
      const onEvent: OnEvent = (event) => void events.push(event);
      const inbox = createInbox({ consumer: "c", database, backoff: { firstMs: 5, maxMs: 50 }, onEvent, ...options });
      inbox.on(shop.placed, async ({ id }, tx) => {
        await tx.query("insert into effect (message_id) values ($1)", [id]);
        await then(id, tx);
      });
      const stop = new AbortController();
      const run = inbox.run(source(onEvent), { signal: stop.signal });
      run.catch(() => undefined); // told by `stop`
      return {
        inbox,
        events,
        count: (name) => events.filter((event) => event.name === name).length,
        async stop() {
          stop.abort();
          await run;
          await inbox.close();
        },
      };
    },
    effects,
    async letters() {
      const rows = await database.query(
        "select message_id, state, reason from waybill_dead_letter where origin = 'inbox' order by sequence, position",
        [],
      );
      return rows.map((row) => `${String(row["message_id"])} ${String(row["state"])} ${String(row["reason"])}`);
    },
    async untilEffects(count, deadlineMs = 60_000) {
      await waitUntil(async () => (await effects()).length >= count, { what: `${count} effects are there`, deadlineMs, intervalMs: 50 });
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

/** What every run must end with: each message once, and those of a key in the order in which they were published. */
export function verdict(effects: readonly string[], messages: readonly OutgoingMessage[]): object {
  const times = new Map<string, number>();
  for (const id of effects) times.set(id, (times.get(id) ?? 0) + 1);
  const place = new Map(effects.map((id, index) => [id, index]));
  const last = new Map<string, number>();
  let outOfOrder = 0;
  for (const { id, key } of messages) {
    if (key === null) continue;
    const at = place.get(id) ?? -1;
    if (at < (last.get(key) ?? -1)) outOfOrder += 1;
    last.set(key, at);
  }
  return {
    lost: messages.filter(({ id }) => !times.has(id)).length,
    doubled: [...times.values()].filter((count) => count > 1).length,
    ghosts: [...times.keys()].filter((id) => !messages.some((message) => message.id === id)).length,
    outOfOrder,
  };
}

export const faultless = { lost: 0, doubled: 0, ghosts: 0, outOfOrder: 0 };
