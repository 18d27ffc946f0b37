/**
 * A database with everything a relay needs in it, for one test; relays beside it, and an application that inserts by plain SQL.
 * What was started is stopped when the test ends, however it ends, and the database is given back.
 */
import type { OutgoingMessage, RelayEvent } from "@waybill/core";
import { type DeadLetterFilter, discardDeadLetters, redriveDeadLetters } from "@waybill/dead-letter";
import { type Database, namespace, openDatabase } from "@waybill/sql";
import {
  type LedgerWriter,
  type MemoryTransport,
  memoryTransport,
  mysqlLedgerWriter,
  type NewLedgerRow,
  postgresLedgerWriter,
  type TestServer,
  waitUntil,
} from "@waybill/testing";
import { afterAll, test } from "vitest";
import { createRelay, type Relay, type RelayOptions } from "../src/index.ts";
import { decodeRanges } from "../src/mysql/encoded-ranges.ts";
import { type Application, type ApplicationRow, connectApplication, type DialectSql } from "./application.ts";
import { endOthers, relayDatabases } from "./relay-databases.ts";

export type EventOf<Name extends RelayEvent["name"]> = Extract<RelayEvent, { readonly name: Name }>;

export interface StartedRelay {
  readonly relay: Relay;
  readonly transport: MemoryTransport;
  /** Everything it reported, in order. */
  readonly events: readonly RelayEvent[];
  /** Resolves or rejects as `run` does. */
  readonly ended: Promise<void>;
  eventsOf<Name extends RelayEvent["name"]>(name: Name): readonly EventOf<Name>[];
  /** The first event of this name that fits, once it comes; those before `after` do not count. */
  seen<Name extends RelayEvent["name"]>(
    name: Name,
    options?: { readonly when?: (event: EventOf<Name>) => boolean; readonly after?: number; readonly deadlineMs?: number },
  ): Promise<EventOf<Name>>;
  /** Sequences of what the transport stored, in order, repeats included. */
  sequences(): readonly number[];
  /** Waits until the transport has stored this many messages. */
  hasPublished(count: number, deadlineMs?: number): Promise<void>;
  /** Asks for a stop and waits for it. */
  stop(): Promise<void>;
}

/** The row of `default/default`, ranges as `low-high`. */
export interface StoredSubscription {
  readonly lastId: number;
  readonly ranges: readonly string[];
  readonly epoch: number;
  readonly owner: string | null;
  readonly isLeased: boolean;
  readonly state: string;
  readonly progressed: boolean;
  readonly soloId: number | null;
  readonly soloDeaths: Readonly<Record<string, number>>;
}

export interface RelayFixture {
  readonly url: string;
  readonly database: Database;
  /** A session of the application's. */
  client(): Promise<Application>;
  /** One statement of the application's, committed. */
  run(sql: string | DialectSql, values?: readonly unknown[]): Promise<readonly ApplicationRow[]>;
  /** Appends rows of topic `orders` in one committed transaction; answers their ids. */
  append(...rows: readonly NewLedgerRow[]): Promise<readonly number[]>;
  /** An open transaction of the application's that appends. */
  begin(): Promise<LedgerWriter>;
  /** Ends every session but the one that `run` uses, as an administrator or a failing server does. */
  endOthers(): Promise<void>;
  /** Inserts `count` rows with one statement, without a gap: `row` is the values of topic, key and payload as SQL over `n`, from 1. */
  appendMany(count: number, row?: string): Promise<void>;
  start(options?: Partial<RelayOptions> & { readonly memory?: MemoryTransport }): StartedRelay;
  subscription(): Promise<StoredSubscription>;
  /** Waits until the saved cursor says that everything up to `lastId` is finished, and nothing was read beyond it. */
  isSaved(lastId: number): Promise<void>;
  /** `sequence state reason` of every dead letter of `default/default`, by sequence; `-` for no reason. */
  letters(): Promise<readonly string[]>;
  redrive(filter?: DeadLetterFilter): Promise<number>;
  discard(filter?: DeadLetterFilter): Promise<number>;
}

/** Every wait is short, so that tests are. */
export const quick = {
  leaseMs: 3_000,
  publishDeadlineMs: 2_000,
  pollMinMs: 2,
  pollMaxMs: 20,
  saveMs: 20,
  messageBackoff: { firstMs: 10, maxMs: 40 },
  topicBackoff: { firstMs: 10, maxMs: 40 },
  outageBackoff: { firstMs: 10, maxMs: 40 },
} as const;

export const row = (key: string | null, payload: string | Uint8Array | null = "{}", topic = "orders"): NewLedgerRow => ({
  type: "shop.order.placed.v1",
  topic,
  key,
  payload,
});

/** `it` with a fixture of one's own on `server`; without one, on the first of the run. */
export const itOn = (server?: TestServer) => {
  const databases = relayDatabases(server);
  afterAll(() => databases.drop());
  return test.extend<{ readonly fixture: RelayFixture }>({
    fixture: async ({ onTestFinished }, use) => {
      const own = await databases.take();
      const { fixture, end } = await openFixture(own.url);
      onTestFinished(async () => {
        await end();
        await databases.giveBack(own);
      });
      await use(fixture);
    },
  });
};

/** A fixture on a database that has the tables. Whoever opened it ends it. */
export async function openFixture(url: string): Promise<{ fixture: RelayFixture; end: () => Promise<void> }> {
  const database = openDatabase({ url });
  const { dialect } = database;
  const space = namespace(dialect);
  const clients: Application[] = [];
  const started: StartedRelay[] = [];
  const client = async (): Promise<Application> => {
    const made = await connectApplication(url);
    clients.push(made);
    return made;
  };
  const main = await client();
  const { run } = main;
  const begin = (): Promise<LedgerWriter> => (dialect === "postgres" ? postgresLedgerWriter({ url }) : mysqlLedgerWriter({ url }));
  const reader = { origin: "relay", reader: "default/default" } as const;
  const decision = { who: "test", why: null };

  const fixture: RelayFixture = {
    url,
    database,
    client,
    run,
    begin,
    endOthers: () => endOthers(main),
    async append(...rows) {
      const writer = await begin();
      const ids = await writer.append(...rows);
      await writer.commit();
      return ids.map(Number);
    },
    async appendMany(count, values = "'orders', concat('k', n % 10), concat('{\"n\":', n, '}')") {
      if (dialect === "postgres") {
        const numbers = `generate_series(1, ${count}) n`;
        await run(`insert into waybill_outbox (type, topic, key, payload) select 'shop.order.placed.v1', ${values} from ${numbers}`);
        return;
      }
      // INSERT … SELECT takes ids in powers of two there, and leaves what it does not need.
      await run("set @@cte_max_recursion_depth = 100000", []).catch(() => run("set max_recursive_iterations = 100000"));
      const rows = await run(
        `with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?),
              made (topic, message_key, payload) as (select ${values} from numbers)
         select * from made`,
        [count],
      );
      const made = rows.map(({ topic, message_key: key, payload }) => ["shop.order.placed.v1", topic, key, payload]);
      await run("insert into waybill_outbox (type, topic, `key`, payload) values ?", [made]);
    },
    start(options = {}) {
      const one = startRelay(database, options);
      started.push(one);
      return one;
    },
    async subscription() {
      const columns = "last_id, epoch, owner, state, progressed, solo_id, solo_deaths";
      const where = "where stream = 'default' and subscription = 'default'";
      const [found] = await run({
        postgres: `select ${columns}, hole_lo::text[] as low, hole_hi::text[] as high, lease_until > clock_timestamp() as is_leased
                   from waybill_subscription ${where}`,
        mysql: `select ${columns}, holes, lease_until > utc_timestamp(6) as is_leased from waybill_subscription ${where}`,
      });
      if (found === undefined) throw new Error("there is no subscription yet");
      return {
        lastId: Number(found.last_id),
        ranges: rangesOf(found),
        epoch: Number(found.epoch),
        owner: found.owner as string | null,
        isLeased: Boolean(Number(found.is_leased)),
        state: String(found.state),
        progressed: Boolean(Number(found.progressed)),
        soloId: found.solo_id === null ? null : Number(found.solo_id),
        soloDeaths: JSON.parse(String(found.solo_deaths)) as Record<string, number>,
      };
    },
    async isSaved(wanted) {
      const isSaved = async (): Promise<boolean> => {
        const saved = await fixture.subscription().catch(() => null);
        return saved !== null && saved.lastId === wanted && saved.ranges.length === 0;
      };
      await waitUntil(isSaved, { what: `the saved cursor is at ${wanted}, with nothing open` });
    },
    async letters() {
      const sql = `select concat_ws(' ', sequence, state, coalesce(reason, '-')) as letter
                   from waybill_dead_letter where reader = 'default/default' order by sequence`;
      return (await run(sql)).map(({ letter }) => String(letter));
    },
    redrive: async (filter = {}) => (await redriveDeadLetters(database, space, { ...reader, ...filter }, decision)).rows,
    discard: async (filter = {}) => (await discardDeadLetters(database, space, { ...reader, ...filter }, decision)).rows,
  };
  const end = async (): Promise<void> => {
    await Promise.all(started.map((one) => one.stop().catch(() => undefined)));
    await database.close();
    await Promise.all(clients.map((open) => open.end()));
  };
  return { fixture, end };
}

/** The stored ranges, as `low-high`. */
function rangesOf(found: ApplicationRow): readonly string[] {
  if (typeof found.holes === "string") return decodeRanges(found.holes).map(({ low, high }) => `${low}-${high}`);
  const high = found.high as readonly string[];
  return (found.low as readonly string[]).map((low, place) => `${low}-${high[place]}`);
}

function startRelay(
  database: Database,
  { memory = memoryTransport(), ...options }: Parameters<RelayFixture["start"]>[0] & object,
): StartedRelay {
  const events: RelayEvent[] = [];
  const aborter = new AbortController();
  const relay = createRelay({
    database,
    transport: memory,
    ...quick,
    ...options,
    onEvent: (event) => {
      events.push(event as RelayEvent);
      options.onEvent?.(event);
    },
  });
  const ended = relay.run({ signal: aborter.signal });
  ended.catch(() => undefined); // whoever waits for it sees it
  const eventsOf = <Name extends RelayEvent["name"]>(name: Name): readonly EventOf<Name>[] =>
    events.filter((event): event is EventOf<Name> => event.name === name);
  return {
    relay,
    transport: memory,
    events,
    ended,
    eventsOf,
    seen: (name, { when = () => true, after = 0, deadlineMs = 30_000 } = {}) =>
      waitUntil(() => events.slice(after).find((event): event is EventOf<typeof name> => event.name === name && when(event as never)), {
        what: `${name} was reported`,
        deadlineMs,
        intervalMs: 3,
      }),
    sequences: () => memory.received.map(({ sequence }) => Number(sequence)),
    hasPublished: async (count, deadlineMs = 30_000) => {
      await waitUntil(() => memory.received.length >= count, {
        what: `${count} messages were published (there are ${memory.received.length})`,
        deadlineMs,
        intervalMs: 3,
      });
    },
    stop() {
      aborter.abort();
      return ended;
    },
  };
}

/** Of each key, the sequences in the order of their first publications. */
export function firstPublications(received: readonly OutgoingMessage[]): ReadonlyMap<string, readonly number[]> {
  const byKey = new Map<string, number[]>();
  const seen = new Set<bigint>();
  for (const { topic, key, sequence } of received) {
    if (key === null || seen.has(sequence)) continue;
    seen.add(sequence);
    const lane = `${topic} ${key}`;
    byKey.set(lane, [...(byKey.get(lane) ?? []), Number(sequence)]);
  }
  return byKey;
}

export const isAscending = (numbers: readonly number[]): boolean =>
  numbers.every((number, place) => place === 0 || (numbers[place - 1] ?? 0) < number);
