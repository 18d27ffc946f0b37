/**
 * Load L: money on its way from a source database to a target, over a broker, by processes that may be killed at any instruction.
 *
 *     3 writers ──▶ source ──▶ 2 relays (the command line's) ──▶ broker ──▶ 2 consumers (the real inbox) ──▶ target
 *        │            │                                            │                                            │
 *     journals      tables                                        tap                                         tables   ──▶ audit
 *
 * Each of the arrows may be broken by a proxy: writer → source, relay → source, relay → broker, consumer → broker, consumer → target. What the processes
 * say about themselves tells a fault whom to hit and shows that it bit; the verdict does not ask them.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createReceivedLog, type Tap, tapKafka, tapRabbitmq } from "@waybill/auditor";
import {
  type BrokerTopics,
  type ChildEnd,
  type ChildEvent,
  createSeat,
  type FaultProxy,
  openBrokerTopics,
  type Seat,
  startFaultProxy,
  waitUntil,
} from "@waybill/testing";
import { createSourceTables, createTargetTables } from "./bank.ts";
import { queuesOf } from "./broker-source.ts";
import type { ConsumerProgramOptions } from "./consumer-program.ts";
import { createPlace, type Place } from "./place.ts";
import type { Servers } from "./servers.ts";
import type { WriterProgramOptions } from "./writer-program.ts";

export interface LoadOptions {
  /** Transfers a second of all writers together, if the machine lets them. Default 300. */
  readonly perSecond?: number;
  /** Processes. Default 3 writers, 2 relays, 2 consumers. */
  readonly writers?: number;
  readonly relays?: number;
  readonly consumers?: number;
  /** Connections of each writer. Default 4. */
  readonly connections?: number;
  /** Of a payload. Default 200 to 8 192. */
  readonly bytes?: readonly [least: number, most: number];
  /** The part that writers roll back on purpose. Default 0.1. */
  readonly rollbacks?: number;
  /** Default 3 000. */
  readonly leaseMs?: number;
  /** Consumers count as dead after this; see `BrokerSourceOptions`. Default 6 000. */
  readonly sessionTimeoutMs?: number;
  /** Partitions of the topic, or queues of the consumer. Default 4. */
  readonly partitions?: number;
  /** Further arguments of `waybill relay`, behind ours. */
  readonly relayArgs?: readonly string[];
  /** How long a handler waits before it works. Default 0. */
  readonly handlerMs?: number;
  readonly inbox?: ConsumerProgramOptions["inbox"];
  /** Relays and consumers tell every event, so that they can die at each. Default false: those that say who holds what. */
  readonly tellsAll?: boolean;
  /** Default true. Without, `start` does it: for what must be there before the first message. */
  readonly isStarted?: boolean;
}

/** A process of the load and its ways. */
export interface LoadPart {
  readonly seat: Seat;
  /** Its way to its database. */
  readonly link: FaultProxy;
}

export interface Told {
  /** `relay 0`, `consumer 1`. */
  readonly who: string;
  /** When it arrived here, by `performance.now()`. */
  readonly atMs: number;
  readonly event: ChildEvent;
}

export interface Load {
  readonly options: Required<Omit<LoadOptions, "inbox" | "isStarted">>;
  readonly servers: Servers;
  readonly source: Place;
  readonly target: Place;
  /** The whole name of the topic. */
  readonly topic: string;
  /** At the broker; also the queues' beginning. */
  readonly group: string;
  readonly writers: readonly LoadPart[];
  readonly relays: readonly LoadPart[];
  readonly consumers: readonly LoadPart[];
  /** Relays' and consumers' ways to the broker; null where it cannot be broken. */
  readonly relaysBroker: FaultProxy | null;
  readonly consumersBroker: FaultProxy | null;
  /** What they told, in order of arrival. */
  readonly told: readonly Told[];
  /** The relay that told last that it has the lease. */
  holder(): LoadPart;
  /** The consumer that told last that it has committed. */
  busyConsumer(): LoadPart;
  /** Committed, rolled back and failed at the writers, received by the tap: as far as is known. */
  progress(): { readonly committed: number; readonly rolledBack: number; readonly failed: number; readonly received: number };
  /** The next event like this, of those told from now on or since `from` (a length of `told`). Rejects at the deadline, default 60 000 ms. */
  waitFor(
    predicate: (told: Told) => boolean,
    options: { readonly what: string; readonly deadlineMs?: number; readonly from?: number },
  ): Promise<Told>;
  /**
   * Has a running process die at an event of its own, stop there (SIGSTOP) or be told to end there (SIGTERM), the nth from now on. A relay or consumer tells every event only with
   * `tellsAll`; a writer has `writer.appended`, `writer.committing` and `writer.committed`. Its end, after SIGTERM with 0, is no
   * crash, and its seat stays empty.
   */
  dieAt(part: LoadPart, event: string, options?: { readonly nth?: number; readonly signal?: "SIGKILL" | "SIGSTOP" | "SIGTERM" }): void;
  /** Starts a relay or consumer again that is gone, and waits until it has the lease, stands by, or takes messages. */
  comesBack(part: LoadPart): Promise<void>;
  /** Starts writers, relays and consumers; resolves when all are at work. */
  start(): Promise<void>;
  /** How processes ended that nobody killed. */
  readonly crashes: readonly string[];
  readonly tap: Tap;
  readonly topics: BrokerTopics;
  /** One for each process that ever wrote. */
  readonly journals: readonly string[];
  /** Kills what runs and removes what was made. */
  close(): Promise<void>;
}

/** Where the load is opened. */
export interface LoadSite {
  readonly servers: Servers;
  readonly folder: string;
  readonly seed: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** The programs that run; a build that is broken on purpose has others. */
  readonly programs: Programs;
}

export interface Programs {
  readonly cli: string;
  readonly consumer: string;
  readonly writer: string;
}

const ownProgram = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

export const ownPrograms: Programs = {
  cli: join(dirname(fileURLToPath(import.meta.resolve("@waybill/cli/package.json"))), "dist", "main.js"),
  consumer: ownProgram("consumer-program"),
  writer: ownProgram("writer-program"),
};

const startDeadlineMs = 120_000;
const up: ReadonlySet<string> = new Set(["relay.standby", "relay.leaseAcquired", "source.joined"]);
const defaults = {
  perSecond: 300,
  writers: 3,
  relays: 2,
  consumers: 2,
  connections: 4,
  bytes: [200, 8_192],
  rollbacks: 0.1,
  leaseMs: 3_000,
  sessionTimeoutMs: 6_000,
  partitions: 4,
  relayArgs: [],
  handlerMs: 0,
  tellsAll: false,
} as const;

/** Rejects when a database, a topic or a process cannot be had; leaves nothing behind then. */
export async function openLoad(site: LoadSite, given: LoadOptions = {}): Promise<Load> {
  const { inbox = {}, isStarted = true, ...rest } = given;
  const options: Load["options"] = { ...defaults, ...rest };
  const cleanUps: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const cleanUp of cleanUps.splice(0).toReversed())
      await cleanUp().catch((error: unknown) => site.say(`left behind: ${String(error)}`));
  };
  try {
    const load = await open(site, options, inbox, cleanUps, close);
    if (isStarted) await load.start();
    return load;
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  site: LoadSite,
  options: Load["options"],
  inbox: NonNullable<LoadOptions["inbox"]>,
  cleanUps: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<Load> {
  const { servers, folder, programs, seed, say } = site;
  const { broker } = servers;
  const name = `reliability-${randomBytes(4).toString("hex")}`;
  const topic = `${name}-transfers`;
  const group = `${name}-bank`;
  const source = await createPlace(servers.database);
  cleanUps.push(() => source.remove());
  const target = await createPlace(servers.database);
  cleanUps.push(() => target.remove());
  await source.ask(createSourceTables);
  await target.ask(createTargetTables);

  const queues = queuesOf({ group, topic, partitions: options.partitions });
  const topics = await openBrokerTopics({ url: broker.url, topics: [topic], partitions: options.partitions, queues, groups: [group] });
  cleanUps.push(() => topics.remove());
  const log = createReceivedLog(join(folder, `${name}-received.jsonl`));
  const tapOptions = { subscription: "default", onReceived: log.write };
  const tap = await (broker.kind === "kafka"
    ? tapKafka({ ...tapOptions, brokers: new URL(broker.url).host.split(","), topics: [topic] })
    : tapRabbitmq({ ...tapOptions, url: broker.url, exchanges: [topic] }));
  cleanUps.push(async () => {
    await tap.close();
    log.close();
  });

  const crashes: string[] = [];
  const doomed = new Map<string, NodeJS.Signals>();
  const told: Told[] = [];
  const journals: string[] = [];
  const counts = new Map<string, { readonly committed: number; readonly rolledBack: number; readonly failed: number }>();
  let holder = 0;
  let busy = 0;
  const onCrash = (how: string, output: string): void => {
    crashes.push(`${how}: ${output.split("\n").find((line) => /error|assert/i.test(line)) ?? "it wrote nothing about it"}`);
    say(`${how}. It wrote:\n${output}`);
  };
  const door = { hostname: new URL(servers.database.url).hostname, port: new URL(servers.database.url).port };
  const database = { host: door.hostname, port: Number(door.port || (source.dialect === "postgres" ? 5432 : 3306)) };
  const part = async (
    kind: string,
    index: number,
    command: Parameters<typeof createSeat>[0]["command"],
    onEvent: (event: ChildEvent) => void,
    link: FaultProxy,
  ): Promise<LoadPart> => {
    // A process that was told to die at an event, and did, has not crashed.
    const seatName = `${kind} ${index}`;
    const isMeant = ({ code, signal }: ChildEnd): boolean =>
      doomed.has(seatName) && (doomed.get(seatName) === "SIGKILL" ? signal === "SIGKILL" : code === 0) && doomed.delete(seatName);
    const seat = createSeat({ name: seatName, command, onEvent, onCrash, isMeant });
    cleanUps.push(() => seat.close());
    return { seat, link };
  };
  const openLink = async (): Promise<FaultProxy> => {
    const link = await startFaultProxy({ target: database });
    cleanUps.push(() => link.stop());
    return link;
  };
  const tell = (who: string, event: ChildEvent): void => {
    told.push({ who, atMs: performance.now(), event });
  };

  const relays: LoadPart[] = [];
  for (let index = 0; index < options.relays; index += 1) {
    const link = await openLink();
    const nodeArgs = ["--import", ownUrl("failpoint-preload")];
    const env = { WAYBILL_DATABASE: link.url(source.url), WAYBILL_TRANSPORT: broker.doors.relays?.url ?? broker.url };
    const args = ["relay", ...relayArgs(options, broker.kind)];
    const onEvent = (event: ChildEvent): void => {
      if (event["name"] === "relay.leaseAcquired") holder = index;
      tell(`relay ${index}`, event);
    };
    relays.push(await part("relay", index, () => ({ program: programs.cli, args, env, nodeArgs }), onEvent, link));
  }

  const consumers: LoadPart[] = [];
  for (let index = 0; index < options.consumers; index += 1) {
    const link = await openLink();
    const args: ConsumerProgramOptions = {
      url: link.url(target.url),
      brokerUrl: broker.doors.consumers?.url ?? broker.url,
      topic,
      group,
      partitions: options.partitions,
      sessionTimeoutMs: options.sessionTimeoutMs,
      handlerMs: options.handlerMs,
      tellsAll: options.tellsAll,
      inbox,
    };
    const onEvent = (event: ChildEvent): void => {
      if (event["name"] === "inbox.committed") busy = index;
      tell(`consumer ${index}`, event);
    };
    consumers.push(await part("consumer", index, () => ({ program: programs.consumer, args: [JSON.stringify(args)] }), onEvent, link));
  }

  const writers: LoadPart[] = [];
  for (let index = 0; index < options.writers; index += 1) {
    const link = await openLink();
    const command = (start: number) => {
      const journal = join(folder, `${name}-writer-${index}-${start}.jsonl`);
      writeFileSync(journal, ""); // one that is killed before it has written anything has a journal, too
      journals.push(journal);
      const args: WriterProgramOptions = {
        url: link.url(source.url),
        topic,
        journal,
        seed: seed + index * 1_000 + start,
        connections: options.connections,
        perSecond: options.perSecond / options.writers,
        bytes: options.bytes,
        rollbacks: options.rollbacks,
      };
      return { program: programs.writer, args: [JSON.stringify(args)] };
    };
    const onEvent = (event: ChildEvent): void => {
      tell(`writer ${index}`, event);
      // By journal, for a process that comes back begins at nothing again.
      counts.set(`${index} ${journals.length}`, {
        committed: Number(event["committed"] ?? 0),
        rolledBack: Number(event["rolledBack"] ?? 0),
        failed: Number(event["failed"] ?? 0),
      });
    };
    writers.push(await part("writer", index, command, onEvent, link));
  }

  const waitFor: Load["waitFor"] = (predicate, { what, deadlineMs = 60_000, from = told.length }) => {
    let looked = from;
    return waitUntil(
      () => {
        site.signal.throwIfAborted();
        for (; looked < told.length; looked += 1) {
          const one = told[looked] as Told;
          if (predicate(one)) return one;
        }
        return null;
      },
      { what, deadlineMs },
    );
  };

  return {
    options,
    servers,
    source,
    target,
    topic,
    group,
    writers,
    relays,
    consumers,
    relaysBroker: broker.doors.relays?.proxy ?? null,
    consumersBroker: broker.doors.consumers?.proxy ?? null,
    told,
    holder: () => relays[holder] as LoadPart,
    busyConsumer: () => consumers[busy] as LoadPart,
    progress() {
      const all = [...counts.values()];
      return {
        committed: all.reduce((sum, { committed }) => sum + committed, 0),
        rolledBack: all.reduce((sum, { rolledBack }) => sum + rolledBack, 0),
        failed: all.reduce((sum, { failed }) => sum + failed, 0),
        received: tap.received.length,
      };
    },
    waitFor,
    dieAt({ seat }, event, { nth = 1, signal = "SIGKILL" } = {}) {
      if (signal !== "SIGSTOP") doomed.set(seat.name, signal);
      seat.tell(`dieAt ${event} ${nth} ${signal}`);
    },
    async comesBack({ seat }) {
      const from = told.length;
      await seat.start();
      await waitFor(({ who, event }) => who === seat.name && up.has(String(event["name"])), {
        what: `${seat.name} is back`,
        deadlineMs: startDeadlineMs,
        from,
      });
    },
    async start() {
      // Consumers first: what is published before a queue is there reaches nobody.
      for (const { seat } of consumers) await seat.start();
      for (const { seat } of consumers) {
        await waitFor(({ who, event }) => who === seat.name && event["name"] === "source.joined", {
          what: `${seat.name} takes messages`,
          deadlineMs: startDeadlineMs,
          from: 0,
        });
      }
      // A broker before 4.0 writes declarations a moment after it has answered: one that is killed now would have forgotten them.
      await broker.ctl?.("eval", "mnesia:sync_log().");
      for (const { seat } of relays) await seat.start();
      for (const { seat } of writers) await seat.start();
      await waitUntil(
        () => (tap.received.length > 0 && told.some(({ event }) => event["name"] === "inbox.committed")) || site.signal.aborted,
        {
          what: "money has arrived",
          deadlineMs: startDeadlineMs,
        },
      );
      site.signal.throwIfAborted();
    },
    crashes,
    tap,
    topics,
    journals,
    close,
  };
}

const ownUrl = (name: string): string => new URL(`./${name}.js`, import.meta.url).href;

function relayArgs(
  { leaseMs, partitions, tellsAll, relayArgs: further }: Load["options"],
  kind: Servers["broker"]["kind"],
): readonly string[] {
  const fixed =
    "--admin off --publish-deadline-ms 2000 --statement-deadline-ms 4000 --hole-fence-after-ms 1000 --save-ms 100 " +
    "--message-backoff-max-ms 1000 --topic-backoff-max-ms 1000 --outage-backoff-max-ms 1000";
  const log = ["--log-level", tellsAll ? "debug" : "info"];
  const queues = kind === "rabbitmq" ? ["--rabbitmq-partitions", String(partitions)] : [];
  return [...fixed.split(" "), "--lease-ms", String(leaseMs), ...log, ...queues, ...further];
}
