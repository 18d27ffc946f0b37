/** How long messages take from their commit to their destination, while something else goes wrong or while nothing does. */
import { waitUntil } from "@waybill/testing";
import type { Delivery, NewRow } from "./delivery.ts";
import type { Rig } from "./rig.ts";

export interface ArrivalTimesOptions {
  readonly rounds: number;
  /** Between two rounds. */
  readonly everyMs: number;
  /** What is written in a round; only rows for which `isMeasured` holds are waited for. */
  readonly rows: (round: number) => readonly NewRow[];
  /** Default: all are. */
  readonly isMeasured?: (row: NewRow) => boolean;
  /** When a message arrived first, by `performance.now()`; undefined: not yet. */
  readonly arrivedMs: (messageId: string) => number | undefined;
}

/** Writes rows little by little, waits until those that are measured have arrived, and answers the p99 of how long it took them. */
export async function measureArrivals(rig: Rig, delivery: Delivery, options: ArrivalTimesOptions): Promise<number> {
  const { rounds, everyMs, rows, isMeasured = () => true, arrivedMs } = options;
  const writtenMs = new Map<string, number>();
  for (let round = 0; round < rounds && !rig.signal.aborted; round += 1) {
    const made = rows(round);
    const ids = await delivery.write(made);
    const now = performance.now();
    for (const [index, row] of made.entries()) if (isMeasured(row)) writtenMs.set(ids[index] as string, now);
    await rig.pause(everyMs);
  }
  const waiting = new Set(writtenMs.keys());
  const isOver = (): boolean => {
    for (const id of waiting) if (arrivedMs(id) !== undefined) waiting.delete(id);
    return waiting.size === 0 || rig.signal.aborted;
  };
  await waitUntil(isOver, { what: "what was written in between arrives", deadlineMs: 120_000, intervalMs: 50 });
  // A reader may be told of a message before its writer is told of the commit.
  const took = [...writtenMs].map(([id, at]) => Math.max(0, (arrivedMs(id) ?? at) - at)).toSorted((left, right) => left - right);
  return took[Math.floor(took.length * 0.99)] ?? 0;
}
