/**
 * What a chaos run or a scenario works with: servers, a load, a place to say what was done and what must hold. Everything opened here is closed when the
 * run is over, whatever became of it.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditOptions, audit, type Fault, formatHistory, type History, type Verdict } from "@waybill/auditor";
import { type Random, systemClock, wait } from "@waybill/core";
import { seededRandom, WaitGivenUp } from "@waybill/testing";
import { type EndedLoad, endLoad, NoVerdict } from "./end-load.ts";
import { type Load, type LoadOptions, openLoad, ownPrograms, type Programs } from "./load.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { brokerOfChoice, dialectOfChoice, type Pair } from "./pair.ts";
import { createPlace, type Place } from "./place.ts";
import type { Servers } from "./servers.ts";

export interface Rig {
  readonly servers: Servers;
  readonly dialect: "postgres" | "mysql";
  readonly broker: "rabbitmq" | "kafka";
  readonly seed: number;
  /** Everything that a run decides by chance it decides with this. */
  readonly random: Random;
  /** Removed at the end. */
  readonly folder: string;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
  /** To stderr, with the time. */
  say(line: string): void;
  /** Sleeps, and no longer than until the run is interrupted. For the length of a fault; wait for events with `waitFor` and `waitUntil`. */
  pause(ms: number): Promise<void>;
  /** Called at the end, last first. */
  defer(cleanUp: () => Promise<unknown>): void;
  /** An empty database with the product's tables. */
  openPlace(): Promise<Place>;
  /** Load L, at work. It is brought to rest, audited and closed at the end, or by `endLoad`. */
  openLoad(options?: LoadOptions): Promise<Load>;
  /** Brings a load to rest and judges it now: for criteria about what it left. */
  endLoad(load: Load): Promise<EndedLoad>;
  /** Judges a history that the scenario has collected itself. */
  judge(history: History, options?: AuditOptions): Verdict;
  /** Something was done to the run; only what was seen to bite counts as effort. */
  fault(kind: string, isObserved: boolean): void;
  /** A criterion beyond the audit. False: the run is violated, with this reason. */
  demand(what: string, isMet: boolean): void;
  /**
   * A criterion of time. Missed on a machine that is busy with other things (its load is above four for each core) it makes the run inconclusive, not
   * violated: nobody could tell who was late.
   */
  within(what: string, tookMs: number, maxMs: number): void;
  /** A criterion that a machine breaks which is too busy to keep leases and deadlines: as with `within`, it is then inconclusive. */
  demandWhenCalm(what: string, isMet: boolean): void;
  /** What the run must have gone through. Less: inconclusive. */
  effort(what: string, found: number, least: number): void;
  /** Those that were done so far. */
  readonly faults: readonly Fault[];
}

export interface RigOptions {
  readonly pair: Pair;
  readonly servers: Servers;
  readonly seed: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Default: those built here. */
  readonly programs?: Programs;
  /** Default true: what was judged is left in files when it was violated. */
  readonly keepsHistory?: boolean;
}

/** Our own load L is about two for each core. */
const busyPerCore = 4;

/**
 * Runs `play` and answers what became of it; a wait that it gave up is a reason, as a criterion is that does not hold. Rejects when it is interrupted, or when a server, a process or a database cannot be had or read.
 */
export async function runRig(options: RigOptions, play: (rig: Rig) => Promise<void>): Promise<Outcome> {
  const { pair, servers, seed, say, signal, programs = ownPrograms } = options;
  const beganMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "waybill-reliability-"));
  const cleanUps: (() => Promise<unknown>)[] = [];
  const opened: Load[] = [];
  /** Those that nobody has ended yet. */
  const loads = new Set<Load>();
  const verdicts: Verdict[] = [];
  const histories: History[] = [];
  const faults: Fault[] = [];
  const problems: string[] = [];
  const missing: string[] = [];
  const crashes: string[] = [];
  const zombieWrites: string[] = [];
  let takeovers = 0;
  let duplicates = 0;
  let isKept = false;

  const judge: Rig["judge"] = (history, auditOptions) => {
    const verdict = audit(history, auditOptions);
    verdicts.push(verdict);
    histories.push(history);
    return verdict;
  };
  const end: Rig["endLoad"] = async (load) => {
    loads.delete(load);
    say("the load ends");
    const ended = await endLoad(load, { faults, say, signal });
    verdicts.push(ended.verdict);
    histories.push(ended.history);
    problems.push(...ended.problems);
    crashes.push(...load.crashes);
    zombieWrites.push(
      ...ended.lease.zombieWrites.map(
        ({ epoch, backend, lastId }) => `the cursor ${lastId} was written under epoch ${epoch} by a zombie, backend ${backend}`,
      ),
    );
    takeovers += ended.lease.takeovers;
    duplicates += ended.duplicates;
    await load.close();
    return ended;
  };

  const rig: Rig = {
    servers,
    dialect: dialectOfChoice(pair.database),
    broker: brokerOfChoice(pair.broker),
    seed,
    random: seededRandom(seed),
    folder,
    signal,
    say,
    pause: async (ms) => void (await wait(systemClock, ms, signal)),
    defer: (cleanUp) => cleanUps.push(cleanUp),
    async openPlace() {
      const place = await createPlace(servers.database);
      cleanUps.push(() => place.remove());
      return place;
    },
    async openLoad(loadOptions) {
      const load = await openLoad({ servers, folder, seed, say, signal, programs }, loadOptions);
      loads.add(load);
      opened.push(load);
      return load;
    },
    endLoad: end,
    judge,
    fault(kind, isObserved) {
      faults.push({ kind, isObserved });
      say(isObserved ? `fault: ${kind}` : `fault: ${kind}, which hit nothing`);
    },
    demand(what, isMet) {
      if (isMet) return;
      problems.push(what);
      say(`not met: ${what}`);
    },
    within(what, tookMs, maxMs) {
      const said = `${what} after ${Math.round(tookMs)} ms of at most ${maxMs}`;
      say(said);
      rig.demandWhenCalm(said, tookMs <= maxMs);
    },
    demandWhenCalm(what, isMet) {
      if (isMet) return;
      const [load = 0] = loadavg();
      if (load > busyPerCore * availableParallelism()) missing.push(`${what}, on a machine with a load of ${load.toFixed(0)}`);
      else rig.demand(what, false);
    },
    effort(what, found, least) {
      if (found < least) missing.push(`${what}: ${found} of at least ${least}`);
    },
    faults,
  };

  /** What did not come about is a reason of the verdict, and whatever can still be judged is. */
  const orSaysWhy = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WaitGivenUp) rig.demandWhenCalm(error.message, false);
      else if (error instanceof NoVerdict) missing.push(error.message);
      else throw error;
    }
  };

  try {
    await orSaysWhy(() => play(rig));
    await orSaysWhy(async () => {
      for (const load of loads) await end(load);
    });
    signal.throwIfAborted();
    const outcome = outcomeOf({
      seed,
      seconds: Math.round((performance.now() - beganMs) / 100) / 10,
      database: servers.database.name,
      broker: servers.broker.name,
      verdicts,
      takeovers,
      zombieWrites,
      crashes,
      duplicates,
      faults,
      problems,
      missing,
    });
    if (outcome.verdict === "violated" && options.keepsHistory !== false) {
      isKept = true;
      for (const [index, history] of histories.entries()) await writeFile(join(folder, `history-${index}.json`), formatHistory(history));
      say(`what was judged is in ${folder}`);
    }
    return outcome;
  } finally {
    for (const load of opened) await load.close();
    for (const cleanUp of cleanUps.toReversed()) await cleanUp().catch((error: unknown) => say(`left behind: ${String(error)}`));
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}
