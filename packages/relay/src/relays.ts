/**
 * Several relays in one process, side by side and isolated: nothing is shared but the process.
 *
 *     run ─┬─▶ relay A ── its connections, lease, sessions, backoff ──────────────────────▶ drained, lease handed over
 *          ├─▶ relay B ── ended by an error ─▶ reported ─▶ waits ─▶ begins anew, like a process that is started again
 *          └─▶ relay C ── its database is down: its own backoff, as by itself
 *
 *     the signal aborts all of them at once; none waits for another
 *     none is left that runs ─▶ `run` resolves: whoever restarts the process finds out
 *
 * Isolated means that no two relays have a connection, a pool, a transport or a queue in common, so that none can wait for another's. What
 * they cannot be spared is each other's use of the processor: a relay hands the loop back with every read, at the latest after
 * the messages of one. A transport that blocks the loop, or exhausts memory, takes all with it.
 */
import { setMaxListeners } from "node:events";
import {
  type BackoffPolicy,
  backoffMs,
  type Clock,
  type ConfigProblem,
  configProblemsOf,
  emit,
  isWaybillError,
  type Random,
  systemClock,
  systemRandom,
  throwConfigProblems,
  wait,
} from "@waybill/core";
import type { RelayHealth } from "./health.ts";
import type { RelayOptions } from "./options.ts";
import { createRelay, type Relay } from "./relay.ts";
import { shareLoaded } from "./share-loaded.ts";

/** One of several: what a relay is given, and a name. */
export interface OneOfRelays extends RelayOptions {
  /** Tells it from the others of this process, in health, ends and problems. Not stored anywhere. */
  readonly name: string;
  /**
   * Runs before each begin of this relay, and holds up no other. Rejecting is an end of this relay, as if `run` of it had rejected. When the
   * signal aborts nobody waits for it any more. Default: nothing.
   */
  readonly beforeStart?: (options: { readonly signal: AbortSignal }) => Promise<void>;
  /**
   * Runs once when this relay will not begin again, whatever the others still do: the place to close its transport and its database. `run` waits for
   * it; what it rejects with is ignored. Default: nothing.
   */
  readonly afterEnd?: () => Promise<void>;
}

export interface RelaysOptions {
  /**
   * At least one. Names differ; each has a `database` and a `transport` object of its own, also where several go to the same server. Two of the
   * same subscription, on the same database, harm nothing and are of no use: one holds the lease, the other stands by.
   */
  readonly relays: readonly OneOfRelays[];
  /**
   * Default 10 000: messages in memory, of all relays together. A relay with a `loadedMax` of its own gets that part, the others share the rest
   * evenly; at least 1 000 each. More is faster with long backlogs.
   */
  readonly totalLoadedMax?: number;
  /** Default 33 554 432: the same for bytes of payload, and `loadedBytesMax`; at least 4 194 304 each. */
  readonly totalLoadedBytesMax?: number;
  /** How long a relay that ended with an error waits before it begins anew. Default 5 s doubling to 60 s, with full jitter. */
  readonly restartBackoff?: BackoffPolicy;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How one of them is doing. */
export interface RelayStanding {
  readonly name: string;
  readonly health: RelayHealth;
  /** What it ended with, until it has begun anew and got further; null: it runs. */
  readonly endedWith: unknown;
}

/** What one of them came to. `drained`: it was told to stop, and did; what it held was saved and handed over if its database answered. */
export type RelayEnd =
  | { readonly name: string; readonly kind: "drained" }
  | { readonly name: string; readonly kind: "failed"; readonly error: unknown };

export interface Relays {
  /**
   * Runs all of them until the signal aborts; then each drains and hands its lease over by itself, and `run` resolves when the last one has. A relay that
   * ends with an error – those that `run` of a single relay rejects with – is reported (`relays.relayEnded`) and begun anew after a wait;
   * the others do not notice. Resolves without a signal only when the last one that ran has ended with an error: then all have. Never rejects.
   */
  run(options: { readonly signal: AbortSignal }): Promise<readonly RelayEnd[]>;
  /** As `wake` of a single one: of this name, or of all of them. */
  wake(name?: string): void;
  /** In the order of the options. */
  health(): readonly RelayStanding[];
}

const restartBackoffDefault: BackoffPolicy = { firstMs: 5_000, maxMs: 60_000 };
/** What ran this long before it ended failed anew. */
const ranWellMs = 60_000;

/** @throws WAYBILL_CONFIG_INVALID with every problem at once; those of one relay as `relays[2].leaseMs` */
export function createRelays(options: RelaysOptions): Relays {
  const { clock = systemClock, random = systemRandom, restartBackoff = restartBackoffDefault } = options;
  const supervised = checked(options).map(
    (one): Supervised => ({ ...one, relay: one.make(), isRunning: false, endedWith: null, isNew: true }),
  );
  /** Aborts with the caller's signal, and when none is left that runs. Ours, so that listeners of many relays do not pile up on the caller's. */
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal);
  const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  let ran: Promise<readonly RelayEnd[]> | null = null;

  const runOnce = async (one: Supervised): Promise<void> => {
    if (!one.isNew) one.relay = one.make();
    one.isNew = false;
    const { beforeStart } = one.options;
    if (beforeStart !== undefined && !signal.aborted) await Promise.race([beforeStart({ signal }), stopped]);
    if (!signal.aborted) await one.relay.run({ signal });
  };

  const supervise = async (one: Supervised): Promise<RelayEnd> => {
    const { name } = one.options;
    for (let failures = 1; ; failures += 1) {
      const startedMs = clock.monotonicMs();
      one.isRunning = true;
      try {
        await runOnce(one);
        one.endedWith = null;
        return { name, kind: "drained" };
      } catch (error) {
        one.endedWith = error;
      } finally {
        one.isRunning = false;
      }
      if (clock.monotonicMs() - startedMs > ranWellMs) failures = 1;
      const isLast = !supervised.some(({ isRunning }) => isRunning);
      const afterMs = isLast || signal.aborted ? null : backoffMs(restartBackoff, failures, random);
      report(one.options, one.endedWith, afterMs);
      if (isLast) stop.abort();
      if (afterMs !== null) await wait(clock, afterMs, signal);
      if (signal.aborted) return { name, kind: "failed", error: one.endedWith };
    }
  };

  const runAll = async (asked: AbortSignal): Promise<readonly RelayEnd[]> => {
    const onStop = (): void => stop.abort();
    asked.addEventListener("abort", onStop, { once: true });
    if (asked.aborted) stop.abort();
    // All of them before the first can end: it is not the last.
    for (const one of supervised) one.isRunning = true;
    const ends = await Promise.all(
      supervised.map(async (one) => {
        const end = await supervise(one);
        try {
          await one.options.afterEnd?.();
        } catch {
          // Whoever closes something knows better than we what to make of that.
        }
        return end;
      }),
    );
    asked.removeEventListener("abort", onStop);
    return ends;
  };

  return {
    run(given) {
      ran ??= runAll(given.signal);
      return ran;
    },
    wake(name) {
      for (const one of supervised) if (name === undefined || one.options.name === name) one.relay.wake();
    },
    health: () =>
      supervised.map(({ options: { name }, relay, isRunning, endedWith }) => {
        const health = relay.health();
        return { name, health, endedWith: isRunning && health.state !== "starting" ? null : endedWith };
      }),
  };
}

interface Supervised {
  readonly options: OneOfRelays;
  readonly make: () => Relay;
  relay: Relay;
  /** `relay` was not run yet: a relay runs once. */
  isNew: boolean;
  isRunning: boolean;
  endedWith: unknown;
}

function checked(options: RelaysOptions): readonly Pick<Supervised, "options" | "make">[] {
  const { relays } = options;
  const problems: ConfigProblem[] = [];
  if (relays.length === 0) problems.push({ option: "relays", problem: "at least one" });
  for (const [option, what] of [
    ["name", "another name than"],
    ["database", "a Database of its own, not that of"],
    ["transport", "a transport of its own, not that of"],
  ] as const) {
    relays.forEach((relay, place) => {
      const first = relays.findIndex((other) => other[option] === relay[option]);
      if (first !== place) problems.push({ option: `relays[${place}].${option}`, problem: `${what} relays[${first}]` });
    });
  }
  relays.forEach(({ name }, place) => {
    if (typeof name !== "string" || name === "") problems.push({ option: `relays[${place}].name`, problem: "not empty" });
  });
  const { firstMs, maxMs } = options.restartBackoff ?? restartBackoffDefault;
  if (!(firstMs > 0 && maxMs >= firstMs))
    problems.push({ option: "restartBackoff", problem: "firstMs above 0 and maxMs at least firstMs" });
  const shared = shareLoaded({ loadedMax: options.totalLoadedMax, loadedBytesMax: options.totalLoadedBytesMax }, relays);
  problems.push(...shared.problems);
  const made = relays.map((relay, place) => {
    const make = (): Relay => createRelay({ ...relay, ...shared.shares[place] });
    try {
      make();
    } catch (error) {
      const found = configProblemsOf(error);
      if (found === null) throw error;
      problems.push(...found.map(({ option, problem }) => ({ option: `relays[${place}].${option}`, problem })));
    }
    return { options: relay, make };
  });
  throwConfigProblems("The relays", problems);
  return made;
}

function report(
  { name: relay, onEvent, stream = "default", subscription = "default" }: OneOfRelays,
  error: unknown,
  afterMs: number | null,
): void {
  // Of an error that is not ours only the name: its message may quote anything.
  const { code, message } = isWaybillError(error)
    ? error
    : { code: "UNEXPECTED", message: error instanceof Error ? error.name : "no error" };
  emit(onEvent, { name: "relays.relayEnded", relay, stream, subscription, code, message, afterMs });
}
