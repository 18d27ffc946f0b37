/**
 * Messages of a scenario's own, and the command line's relay that delivers them: for questions about single messages, where load L has too many.
 *
 *     scenario ──rows, in plain SQL──▶ ledger ──▶ relay ──▶ wherever `transport` says ──▶ received ──▶ audit
 */
import {
  digest,
  type Effect,
  type History,
  type Intent,
  type Received,
  readBusinessRows,
  readEffects,
  readInbox,
  readLedger,
  type SubscriptionState,
} from "@waybill/auditor";
import { newMessageId } from "@waybill/core";
import { type DeadLetterFilter, discardDeadLetters } from "@waybill/dead-letter";
import { namespace } from "@waybill/sql";
import {
  type ChildEnd,
  type ChildEvent,
  createSeat,
  type FaultProxy,
  leasesEnd,
  readLedgerStanding,
  type Seat,
  startFaultProxy,
  waitUntil,
} from "@waybill/testing";
import { type LoadPart, ownPrograms, type Told } from "./load.ts";
import type { Place } from "./place.ts";
import type { Rig } from "./rig.ts";

/** A row as any program may write it. */
export interface NewRow {
  readonly topic: string;
  readonly key: string | null;
  /** Default `reliability.noted.v1`. */
  readonly type?: string;
  /** JSON text, or what is none. Default: none. */
  readonly headers?: string | null;
  readonly payload?: string;
}

/** An inbox in the place, and the query for the ids of the messages that it has an effect of, in order of commit. */
export interface EffectReader {
  readonly consumer: string;
  readonly sql: string;
}

export interface DeliveryOptions {
  /** The relay's. */
  readonly transport: string;
  readonly relayArgs?: readonly string[];
  /** Processes of the same subscription. Default 1. */
  readonly relays?: number;
  /** Default 10 000: a busy machine keeps it. */
  readonly leaseMs?: number;
  /** What the destination has noted. */
  readonly received: () => readonly Received[];
  /** As the relay is configured; default `hold`. */
  readonly keyPolicy?: SubscriptionState["keyPolicy"];
  /** Inboxes that must have an effect of each message. Default: none. */
  readonly consumers?: readonly EffectReader[];
  /** Where the relays find the database server. Default: where it is. */
  readonly door?: { readonly host: string; readonly port: number };
  /** Subscriptions that must have got everything. Default: all there are. */
  readonly judged?: readonly string[];
  /** Messages that are not confirmed enter the ledger again, and those rows are no messages of their own. Default false. */
  readonly isRepeating?: boolean;
  /** Tells every event. Default false. */
  readonly tellsAll?: boolean;
}

export interface Delivery {
  readonly place: Place;
  /** Not started yet. */
  readonly relay: Seat;
  /** The relay's way to the database. */
  readonly link: FaultProxy;
  /** All of them, the first one included: `relay`, `relay 1`, and so on. */
  readonly relays: readonly LoadPart[];
  /** What a relay is given further from its next start on. */
  relayArgs: readonly string[];
  readonly told: readonly Told[];
  /** Commits them, in this order, and answers their message ids. */
  write(rows: readonly NewRow[]): Promise<readonly string[]>;
  /** For what a scenario writes itself: what a writer meant and learnt. Its business row is one of `note`, with the message's id. */
  intend(intent: Intent): void;
  /** The next event like this, of those told from now on or since `from`. */
  waitFor(
    predicate: (event: ChildEvent, who: string) => boolean,
    options: { readonly what: string; readonly deadlineMs?: number; readonly from?: number },
  ): Promise<Told>;
  /** Starts a relay that is gone, and waits until it has the lease or stands by: one that is told to end before that would die of it. */
  comesBack(relay: Seat): Promise<void>;
  /** A relay, by default the first, dies at an event, the nth from now on, and is no crash. It tells every event only with `tellsAll`. */
  dieAt(event: string, nth?: number, relay?: Seat): void;
  /** Everything is published, and nothing waits for anybody. */
  isQuiet(deadlineMs?: number): Promise<void>;
  /** Stops the relays and has everything judged. */
  end(): Promise<History>;
}

const rowsMax = 200;
const startDeadlineMs = 120_000;
const endDeadlineMs = 30_000;
const quietDeadlineMs = 60_000;

export async function openDelivery(rig: Rig, options: DeliveryOptions): Promise<Delivery> {
  const {
    transport,
    leaseMs = 10_000,
    received,
    relays = 1,
    keyPolicy = "hold",
    consumers = [],
    isRepeating = false,
    tellsAll = false,
    judged,
  } = options;
  const place = await rig.openPlace();
  await place.ask((session) => session.run("create table note (message_id char(36) primary key)"));
  const intents: Intent[] = [];
  const told: Told[] = [];
  const crashes: string[] = [];
  const doomed = new Set<string>();
  const fixed = `--hole-fence-after-ms 1000 --save-ms 100 --lease-ms ${leaseMs} --log-level ${tellsAll ? "debug" : "info"}`;
  const args = ["relay", ...fixed.split(" ")];
  const { hostname, port } = new URL(place.url);
  const target = options.door ?? { host: hostname, port: Number(port || (place.dialect === "postgres" ? 5432 : 3306)) };
  const openRelay = async (name: string): Promise<LoadPart> => {
    const link = await startFaultProxy({ target });
    rig.defer(() => link.stop());
    const seat = createSeat({
      name,
      command: () => ({
        program: ownPrograms.cli,
        args: [...args, ...(delivery.relayArgs.includes("--admin") ? [] : ["--admin", "off"]), ...delivery.relayArgs],
        env: { WAYBILL_DATABASE: link.url(place.url), WAYBILL_TRANSPORT: transport },
        nodeArgs: ["--import", new URL("./failpoint-preload.js", import.meta.url).href],
      }),
      onEvent: (event) => told.push({ who: name, atMs: performance.now(), event }),
      isMeant: ({ signal }: ChildEnd) => doomed.delete(name) && signal === "SIGKILL",
      onCrash: (how, output) => {
        crashes.push(how);
        rig.say(`${how}. It wrote:\n${output}`);
      },
    });
    rig.defer(() => seat.close());
    return { seat, link };
  };
  const first = await openRelay("relay");
  const parts = [first];
  for (let index = 1; index < relays; index += 1) parts.push(await openRelay(`relay ${index}`));
  const keyColumn = place.dialect === "postgres" ? "key" : "`key`";

  const delivery: Delivery = {
    place,
    relay: first.seat,
    link: first.link,
    relays: parts,
    relayArgs: options.relayArgs ?? [],
    told,
    async write(rows) {
      const made = rows.map((row) => ({ messageId: newMessageId(), type: "reliability.noted.v1", headers: null, payload: "{}", ...row }));
      await place.ask(async (session) => {
        await session.run("begin");
        for (let at = 0; at < made.length; at += rowsMax) {
          const some = made.slice(at, at + rowsMax);
          const values = some.flatMap(({ messageId, type, topic, key, headers, payload }) => [
            messageId,
            type,
            topic,
            key,
            headers,
            payload,
          ]);
          const each = `(${place.dialect === "postgres" ? "?::uuid" : "?"}, ?, ?, ?, ?, ?)`;
          const columns = `message_id, type, topic, ${keyColumn}, headers, payload`;
          await session.run(`insert into waybill_outbox (${columns}) values ${some.map(() => each).join(", ")}`, values);
          await session.run(
            `insert into note values ${some.map(() => "(?)").join(", ")}`,
            some.map(({ messageId }) => messageId),
          );
        }
        await session.run("commit");
      });
      for (const { messageId, topic, key, payload } of made)
        intents.push({ messageId, topic, key, outcome: "committed", payloadDigest: digest(Buffer.from(payload, "utf8")) });
      return made.map(({ messageId }) => messageId);
    },
    intend: (intent) => void intents.push(intent),
    waitFor(predicate, { what, deadlineMs = 30_000, from = told.length }) {
      let looked = from;
      const find = (): Told | null => {
        rig.signal.throwIfAborted();
        for (; looked < told.length; looked += 1) {
          const one = told[looked] as Told;
          if (predicate(one.event, one.who)) return one;
        }
        return null;
      };
      return waitUntil(find, { what, deadlineMs });
    },
    async comesBack(relay) {
      const from = told.length;
      await relay.start();
      const isUp = ({ name }: ChildEvent, who: string): boolean =>
        who === relay.name && (name === "relay.leaseAcquired" || name === "relay.standby");
      await delivery.waitFor(isUp, { what: `${relay.name} is back`, deadlineMs: startDeadlineMs, from });
    },
    dieAt(event, nth = 1, relay = first.seat) {
      doomed.add(relay.name);
      relay.tell(`dieAt ${event} ${nth} SIGKILL`);
    },
    async isQuiet(deadlineMs = quietDeadlineMs) {
      const look = async (): Promise<boolean> => {
        rig.signal.throwIfAborted();
        return (await place.ask(readLedgerStanding)).isQuiet;
      };
      await waitUntil(look, { what: "everything is published and decided", deadlineMs, intervalMs: 200 });
    },
    async end() {
      for (const { seat } of parts) {
        if (seat.pid() === null) continue;
        const code = await seat.end(endDeadlineMs);
        rig.demand(`QS ${seat.name} did not end when it was told, exit code ${code}`, code === 0);
      }
      rig.demand(`a relay ended by itself: ${crashes.join(", ")}`, crashes.length === 0);
      rig.demand("QS a lease is still held", await leasesEnd(place.ask, 4 * leaseMs));
      const ledger = await readLedger({ url: place.url });
      const inbox = await readInbox({ url: place.url });
      const names = new Set(consumers.map(({ consumer }) => consumer));
      const effects: Effect[] = [];
      for (const { consumer, sql } of consumers) effects.push(...(await readEffects({ url: place.url }, consumer, { sql })));
      const latestFirst = ledger.ledger.toSorted((left, right) => (left.sequence < right.sequence ? 1 : -1));
      const firsts = new Map(latestFirst.map((row) => [row.messageId, row]));
      const history: History = {
        ...ledger,
        ledger: isRepeating ? ledger.ledger.filter((row) => firsts.get(row.messageId) === row) : ledger.ledger,
        // Whoever repeats what was not confirmed has dead letters, too, of what was published long before.
        deadLetters: [
          ...ledger.deadLetters.filter(({ reader }) => !reader.startsWith("@")),
          ...inbox.deadLetters.filter(({ reader }) => names.has(reader)),
        ],
        subscriptions: ledger.subscriptions
          .filter(({ subscription }) => judged === undefined || judged.includes(subscription))
          .map((each) => ({ ...each, keyPolicy })),
        intents,
        businessRows: await readBusinessRows({ url: place.url }, { sql: "select message_id from note" }),
        received: received(),
        consumers: consumers.map(({ consumer }) => ({ consumer })),
        effects,
        handled: inbox.handled.filter(({ consumer }) => names.has(consumer)),
        faults: rig.faults,
      };
      rig.judge(history);
      return history;
    },
  };
  return delivery;
}

/** Names the product's tables of a place, for what operators do. */
export const spaceOf = ({ database }: Place) => namespace(database.dialect);

/** Gives up for good what a relay could not publish, or an inbox not handle. */
export async function discardAll(place: Place, filter: Pick<DeadLetterFilter, "origin" | "reason" | "messageId">): Promise<void> {
  await discardDeadLetters(
    place.database,
    spaceOf(place),
    { origin: "relay", ...filter },
    { who: "reliability", why: "it can never be done" },
  );
}
