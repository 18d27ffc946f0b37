/**
 * Kills processes by the plan, each in the middle of a message: when as many orders are placed as planned, the next message that
 * arrives at the recorder ends its relay (published, and not confirmed yet), or the service it goes to.
 *
 * The load waits for a kill that is due, but for a few orders: else it would be over before a killed relay's lease has run out, and
 * the next kills would hit processes that have nothing to do.
 */
import type { Fault } from "@waybill/auditor";
import type { Child } from "./child.ts";
import type { Plan, Target } from "./plan.ts";
import type { Recorder } from "./recorder.ts";

export interface KillingOptions {
  readonly kills: Plan["kills"];
  readonly children: Readonly<Record<Target, Child>>;
  /** Which messages a target has in its hands. */
  readonly recorders: Readonly<Record<Target, Recorder>>;
  /** How many orders are placed. */
  readonly placed: () => number;
  readonly onKill: (target: Target) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 5;
/** A target that has nothing in its hands for so long is killed as it is. */
const messageDeadlineMs = 8_000;
/** So many orders may be begun beyond a kill that is due. */
const ordersAhead = 40;

export interface Killing {
  /** How many orders may have been begun by now. */
  mayBegin(): number;
  /** Resolves when the last planned kill is done and its target started again. */
  run(): Promise<readonly Fault[]>;
}

export function createKilling(options: KillingOptions): Killing {
  let done = 0;
  return {
    mayBegin: () => (options.kills[done]?.at ?? Number.POSITIVE_INFINITY) + ordersAhead,
    run: () =>
      killAll(options, () => {
        done += 1;
      }),
  };
}

async function killAll(options: KillingOptions, onDone: () => void): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  for (const { target, at } of options.kills) {
    while (options.placed() < at && !options.signal.aborted) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    if (options.signal.aborted) break;
    await options.recorders[target].next(messageDeadlineMs);
    const isObserved = await options.children[target].kill();
    faults.push({ kind: `kill -9 ${target}`, isObserved });
    options.onKill(target);
    options.children[target].start();
    onDone();
  }
  return faults;
}
