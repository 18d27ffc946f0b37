/**
 * What an inbox does beside its deliveries: three things, none of which waits for another, for redriving runs handlers and may take long.
 *
 *     types that became known (every 10 s)        released rows (every second)        old rows (every minute)
 *
 * Nothing here is urgent and all of it may be repeated: any number of processes may do it at once, and what fails is tried again.
 */
import { backoffMs, wait } from "@waybill/core";
import { codeOf } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Redrive } from "./redrive.ts";

const lookEveryMs = 1_000;
const typesEveryMs = 10_000;
const retentionEveryMs = 60_000;
const backoff = { firstMs: 1_000, maxMs: 30_000 } as const;

/** Rows of one step of retention, and a pause after each, so that handlers get their connections. */
const removeRowsMax = 1_000;
const removePauseMs = 10;
/** How much longer than the retention handled messages are remembered: producers' clocks may differ from ours by that much. */
const clockMarginMs = 3_600_000;
/** Decided dead letters are kept at least so long. */
const decidedMs = 30 * 86_400_000;

/** Removes old rows, step by step, until none are left or `life.stop` aborts. Answers how many. */
export async function removeOldRows(engine: Engine, life: Lifecycle): Promise<number> {
  const { settings, store, results, deadLetters, reader } = engine;
  const { database, retentionMs, resultRetentionMs, clock } = settings;
  const steps = [
    () => store.removeHandled(database, retentionMs + clockMarginMs, removeRowsMax),
    () => store.removeAttempts(database, retentionMs + clockMarginMs, removeRowsMax),
    () => results.remove(database, resultRetentionMs, removeRowsMax),
    () => deadLetters.removeDecided(database, reader, Math.max(decidedMs, retentionMs + clockMarginMs), removeRowsMax),
  ];
  let removed = 0;
  engine.report({ name: "inbox.retentionRemoving" });
  for (const step of steps) {
    for (let rows = removeRowsMax; rows === removeRowsMax && !life.stop.aborted; ) {
      rows = await step();
      removed += rows;
      if (rows === removeRowsMax) await wait(clock, removePauseMs, life.stop);
    }
  }
  engine.report({ name: "inbox.retentionRemoved", rows: removed });
  return removed;
}

/** Runs until `life.stop` aborts. Never rejects. */
export async function keepUp(engine: Engine, redrive: Redrive, life: Lifecycle): Promise<void> {
  await Promise.all([
    keepDoing(engine, life, async () => {
      await redrive.releaseKnownTypes(life);
      return typesEveryMs;
    }),
    keepDoing(engine, life, async () => ((await redrive.pass(life)) > 0 ? 1 : lookEveryMs)),
    keepDoing(engine, life, async () => {
      await removeOldRows(engine, life);
      return retentionEveryMs;
    }),
  ]);
}

/** Does something again and again, after the pause it asks for, or with backoff if it fails. */
async function keepDoing(engine: Engine, life: Lifecycle, step: () => Promise<number>): Promise<void> {
  const { clock, random } = engine.settings;
  for (let failures = 0; !life.stop.aborted; ) {
    let pauseMs: number;
    try {
      pauseMs = await step();
      failures = 0;
    } catch (error) {
      failures += 1;
      pauseMs = backoffMs(backoff, failures, random);
      engine.report({ name: "inbox.upkeepFailed", code: codeOf(error), afterMs: pauseMs });
    }
    await wait(clock, pauseMs, life.stop);
  }
}
