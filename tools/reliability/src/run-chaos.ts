/** A chaos run: load L, random faults, and a verdict that says whether they were hard enough. */
import { carryOut } from "./chaos-faults.ts";
import { createChaosSchedule } from "./chaos-schedule.ts";
import type { Programs } from "./load.ts";
import type { Outcome } from "./outcome.ts";
import { nameOfPair, type Pair } from "./pair.ts";
import { type Rig, runRig } from "./rig.ts";
import type { ServerShelf } from "./servers.ts";

export interface ChaosRun {
  readonly pair: Pair;
  readonly seed: number;
  readonly minutes: number;
  readonly shelf: ServerShelf;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  readonly programs?: Programs;
}

const leaseMs = 3_000;
const sayEveryMs = 10_000;

/** What must have been seen in each minute of load. About half of what is planned: the other half may miss. */
const perMinute = { takeovers: 0.7, committed: 200, rolledBack: 20, unknown: 0.3, repeated: 1, duplicates: 1 };
const faultsPerMinute: Readonly<Record<string, number>> = { "kill relay": 0.7, "kill consumer": 0.7, "kill writer": 0.4, link: 3 };
const ofDatabase: Readonly<Record<string, number>> = { Database: 0.3 };
const ofBroker: Readonly<Record<string, number>> = { Broker: 0.3 };

export async function runChaos({
  pair,
  seed,
  minutes,
  shelf,
  say,
  signal,
  programs,
}: ChaosRun): Promise<Outcome & { readonly minutes: number }> {
  const servers = await shelf.take(pair);
  const outcome = await runRig({ pair, servers, seed, say, signal, ...(programs === undefined ? {} : { programs }) }, async (rig) => {
    const load = await rig.openLoad({ leaseMs });
    const schedule = createChaosSchedule(seed, {
      minutes,
      leaseMs,
      isDatabaseOurs: servers.database.started !== null,
      isBrokerOurs: servers.broker.started !== null,
      hasDoors: load.relaysBroker !== null,
      relays: load.relays.length,
      consumers: load.consumers.length,
      writers: load.writers.length,
    });
    say(`chaos, seed ${seed}: ${nameOfPair(pair)}, ${minutes} min, ${schedule.length} faults`);
    const ticker = setInterval(() => {
      const { committed, rolledBack, received } = load.progress();
      say(`${committed} committed, ${rolledBack} rolled back · ${received} received · ${bitOf(rig)} of ${rig.faults.length} faults bit`);
    }, sayEveryMs);
    rig.defer(async () => clearInterval(ticker));
    const beganMs = performance.now();
    await carryOut(schedule, rig, load);
    await rig.pause(minutes * 60_000 - (performance.now() - beganMs));
    clearInterval(ticker);
    signal.throwIfAborted();
    const { verdict, takeovers, duplicates } = await rig.endLoad(load);

    const { counts } = verdict;
    const demand = (what: string, found: number, leastInAMinute: number): void =>
      rig.effort(what, found, Math.floor(leastInAMinute * minutes));
    demand("takeovers", takeovers, perMinute.takeovers);
    demand("committed messages", counts.committed, perMinute.committed);
    demand("rolled back messages", counts.rolledBack, perMinute.rolledBack);
    demand("unknown outcomes", counts.unknown, perMinute.unknown);
    demand("repeated receptions", counts.repeated, perMinute.repeated);
    demand("messages that an inbox knew", duplicates, perMinute.duplicates);
    const wanted = {
      ...faultsPerMinute,
      ...(servers.database.started === null ? {} : ofDatabase),
      ...(servers.broker.started === null ? {} : ofBroker),
    };
    for (const [kind, least] of Object.entries(wanted)) demand(`faults of ${kind}`, bitOf(rig, kind), least);
  });
  return { ...outcome, minutes };
}

const links = /^(blackHole|reset|refuse|cut\w+|swallow|slice|delay) /;

/** Faults that were seen to bite, of a kind: `link` is whatever happened to one. */
function bitOf({ faults }: Rig, kind = ""): number {
  return faults.filter(({ isObserved, kind: its }) => isObserved && (kind === "link" ? links.test(its) : its.includes(kind))).length;
}
