/**
 * One run, from an empty database to its result.
 *
 *     writers ──▶ ledger ──▶ relays ──▶ destination        load, and the schedule's faults, for so many minutes
 *        │           │                       │
 *     journals     tables                  log              ──▶ quiet ──▶ everything stopped ──▶ audit
 *
 * Writers and relays are processes of their own, each relay behind a proxy of its own. The destination, the schedule and the proxies live here,
 * where no fault reaches. What the relays say about themselves is not asked, except who holds the lease, to hit it.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { audit, type Fault, formatHistory, type History, readBusinessRows, readJournal, readLedger } from "@waybill/auditor";
import { systemClock, wait } from "@waybill/core";
import { createSeat, judgeLease, leasesEnd, readLeaseWrites, type Seat, seededRandom, startFaultProxy, waitUntil } from "@waybill/testing";
import { type Destination, openDestination } from "./destination.ts";
import { carryOut, type RelaySeat, type Stage } from "./faults.ts";
import { owedOf } from "./owed.ts";
import { createPlace, type Place, type Server } from "./place.ts";
import { becomesQuiet, decidePrepared } from "./quiet.ts";
import type { RelayProgramOptions } from "./relay-program.ts";
import { createSchedule, type Schedule } from "./schedule.ts";
import { unorderedTopics } from "./tables.ts";
import { type Effort, resultOf, type TortureResult } from "./verdict.ts";
import type { WriterProgramOptions } from "./writer-program.ts";

export interface RunOptions {
  readonly server: Server;
  readonly seed: number;
  readonly minutes: number;
  /** The program that relays run; default: the one built here. */
  readonly relayProgram?: string;
  /** Default true: what was judged is left in a file when it was violated. */
  readonly keepsHistory?: boolean;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const leaseMs = 1_500;
/** Of all writers together, if the machine lets them. */
const transactionsPerSecond = 150;
const sayEveryMs = 10_000;
const decideEveryMs = 5_000;
const orphanedAfterMs = 12_000;
const endDeadlineMs = 15_000;
const startDeadlineMs = 120_000;
const crashesMax = 5;

const programOf = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

/** Rejects when it is interrupted, or when the database cannot be made or read. Leaves nothing running, and a folder only after a violation. */
export async function runTorture(options: RunOptions): Promise<TortureResult> {
  const { server, seed, minutes, say, signal } = options;
  const schedule = createSchedule(seed, { minutes, isServerOurs: server.started !== null, leaseMs });
  const folder = await mkdtemp(join(tmpdir(), "waybill-torture-"));
  const place = await createPlace(server, randomBytes(4).toString("hex"));
  const destination = await openDestination(join(folder, "destination"), seededRandom(seed ^ 0x5eed));
  const crashes: string[] = [];
  const faults: Fault[] = [];
  const shapes = new Map<string, number>();
  const words = new Map<string, number>();
  /** So many processes ended by themselves that going on would show nothing new. */
  const hopeless = new AbortController();
  const stage = await openStage(options, { schedule, folder, place, destination, shapes, words, onCrash: noteCrash });
  function noteCrash(how: string, output: string): void {
    crashes.push(`${how}: ${output.split("\n").find((line) => /error|assert/i.test(line)) ?? "it wrote nothing about it"}`);
    say(`${how}. It wrote:\n${output}`);
    if (crashes.length >= crashesMax) hopeless.abort();
  }
  let isKept = false;
  try {
    say(
      `seed ${seed}: ${server.name}, ${minutes} min, ${schedule.relays} relays, ${schedule.writers} × ${schedule.connections} writers, ${schedule.faults.length} faults`,
    );
    const tickers = [
      setInterval(() => say(progressOf(destination, faults, shapes)), sayEveryMs),
      setInterval(() => {
        decidePrepared(place, orphanedAfterMs).catch(() => undefined); // the server is away; next time then
      }, decideEveryMs),
    ];
    for (const { seat } of stage.relays) await seat.start();
    for (const seat of stage.writers) await seat.start();
    // On a machine that has much else to do the first fault would otherwise hit processes that have not begun.
    await waitUntil(() => (shapes.size > 0 && words.size > 0) || signal.aborted, {
      what: "writers and relays are at work",
      deadlineMs: startDeadlineMs,
    });
    const beganMs = performance.now();
    const ended = AbortSignal.any([signal, hopeless.signal]);
    await carryOut(schedule.faults, stage, ended, (_, observed) => faults.push(observed));
    await wait(systemClock, minutes * 60_000 - (performance.now() - beganMs), ended);
    for (const ticker of tickers) clearInterval(ticker);
    signal.throwIfAborted();

    say(`${progressOf(destination, faults, shapes)}; the load ends`);
    say(countsOf(shapes));
    say(countsOf(words));
    destination.behave();
    for (const { proxy } of stage.relays) proxy.heal();
    for (const seat of stage.writers) seat.tell("stop");
    await Promise.all(stage.writers.map(async (seat) => (await seat.ends(endDeadlineMs)) || seat.kill()));
    for (const { seat } of stage.relays) await seat.start();
    const isQuiet = await becomesQuiet(place, destination, say, signal);
    signal.throwIfAborted();
    say(countsOf(words));
    say(isQuiet ? "quiet; stopping the relays" : "not quiet, and nothing moved for a long while; stopping the relays");
    await Promise.all(stage.relays.map(({ seat }) => seat.end(endDeadlineMs)));
    await leasesEnd(place.ask, 4 * leaseMs);

    const history = await collect(place, destination, stage.journals, faults);
    const lease = judgeLease(await place.ask(readLeaseWrites));
    const effort: Effort = { faults, shapes, lateHoles: destination.late, deadIds: deadIdsOf(history), owed: owedOf(history) };
    const result = resultOf({
      seed,
      minutes,
      database: server.name,
      isServerOurs: server.started !== null,
      audit: audit(history),
      lease,
      crashes,
      effort,
    });
    if (result.verdict === "violated" && options.keepsHistory !== false) {
      isKept = true;
      await writeFile(join(folder, "history.json"), formatHistory(history));
      say(`what was judged is in ${folder}`);
    }
    return result;
  } finally {
    await Promise.all([...stage.relays.map(({ seat }) => seat), ...stage.writers].map((seat) => seat.close()));
    await Promise.all(stage.relays.map(({ proxy }) => proxy.stop()));
    await destination.close();
    await place.remove().catch((error: unknown) => say(`the database could not be removed: ${String(error)}`));
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

interface StageParts {
  readonly schedule: Schedule;
  readonly folder: string;
  readonly place: Place;
  readonly destination: Destination;
  readonly onCrash: (how: string, output: string) => void;
  readonly shapes: Map<string, number>;
  /** What relays told, and how often. */
  readonly words: Map<string, number>;
}

type OpenedStage = Stage & { /** One for each process that ever wrote. */ readonly journals: readonly string[] };

async function openStage(options: RunOptions, parts: StageParts): Promise<OpenedStage> {
  const { server, seed, relayProgram = programOf("relay-program") } = options;
  const { schedule, folder, place, destination, onCrash, shapes, words } = parts;
  const random = seededRandom(seed ^ 0x7e1a);
  const limits = { batchMax: 20 + Math.floor(random.fraction() * 480), callsMax: 2 + Math.floor(random.fraction() * 14) };
  const { hostname, port } = new URL(server.url);
  const target = { host: hostname, port: Number(port || (place.dialect === "postgres" ? 5432 : 3306)) };
  let holder = 0;
  const relays: RelaySeat[] = [];
  for (let index = 0; index < schedule.relays; index += 1) {
    const proxy = await startFaultProxy({ target });
    const args: RelayProgramOptions = { url: proxy.url(place.url), destination: join(folder, "destination"), leaseMs, ...limits };
    const onEvent = (event: Readonly<Record<string, unknown>>): void => {
      const { name, code, reason, isSolo } = event as { name: string; code?: string; reason?: string; isSolo?: boolean };
      if (name === "relay.leaseAcquired") holder = index;
      const word = [name, code, reason, isSolo === true ? "alone" : undefined].filter((part) => part !== undefined).join(" ");
      words.set(word, (words.get(word) ?? 0) + 1);
    };
    relays.push({
      proxy,
      seat: createSeat({
        name: `relay ${index}`,
        command: () => ({ program: relayProgram, args: [JSON.stringify(args)] }),
        onEvent,
        onCrash,
      }),
    });
  }

  const journals: string[] = [];
  const writers: Seat[] = Array.from({ length: schedule.writers }, (_, index) =>
    createSeat({
      name: `writer ${index}`,
      command: (start) => {
        const journal = join(folder, `writer-${index}-${start}.jsonl`);
        writeFileSync(journal, ""); // one that is killed before it has written anything has a journal, too
        journals.push(journal);
        const perSecond = transactionsPerSecond / (schedule.writers * schedule.connections);
        const { connections } = schedule;
        const args: WriterProgramOptions = {
          url: place.url,
          journal,
          seed: seed + index * 1_000 + start,
          connections,
          perSecond,
          preparedPrefix: place.preparedPrefix,
        };
        return { program: programOf("writer-program"), args: [JSON.stringify(args)] };
      },
      onEvent: (event) => {
        for (const [name, count] of Object.entries((event["shapes"] as Record<string, number> | undefined) ?? {})) {
          shapes.set(name, (shapes.get(name) ?? 0) + count);
        }
      },
      onCrash,
    }),
  );
  return { relays, writers, holder: () => holder, destination, server, place, journals };
}

async function collect(place: Place, destination: Destination, journals: readonly string[], faults: readonly Fault[]): Promise<History> {
  const { url } = place;
  return {
    ...(await readLedger({ url })),
    intents: await readJournal(...journals),
    businessRows: await readBusinessRows({ url }, { sql: "select message_id from business" }),
    received: destination.received,
    consumers: [],
    effects: [],
    unorderedTopics,
    faults,
  };
}

/** Ids that a writer took and no row of a writer has; fences fill some of them. */
function deadIdsOf({ ledger }: History): number {
  let highest = 0n;
  let messages = 0;
  for (const { sequence, type, topic } of ledger) {
    if (sequence > highest) highest = sequence;
    if (type !== "" || topic !== "") messages += 1;
  }
  return Number(highest) - messages;
}

const countsOf = (counts: ReadonlyMap<string, number>): string => [...counts].map(([name, count]) => `${name} ${count}`).join(" · ");

function progressOf(destination: Destination, faults: readonly Fault[], shapes: ReadonlyMap<string, number>): string {
  let done = 0;
  let failed = 0;
  for (const [name, count] of shapes) {
    if (name.startsWith("failed")) failed += count;
    else done += count;
  }
  const bit = faults.filter(({ isObserved }) => isObserved).length;
  return `${done} transactions, ${failed} failed · ${destination.received.length} received, ${destination.late} from holes · ${bit} of ${faults.length} faults bit`;
}
