/** Carries out what `hole-proof.ts` decides: one look takes ids for a second at most. What was not reached is due again. */
import { systemClock, throwConfigProblems } from "@waybill/core";
import type { Connection } from "@waybill/sql";
import { intersectRanges, subtractRanges } from "../id-ranges.ts";
import type { HoleProof, HoleProofOptions } from "../ledger.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { errorNumber } from "./error-number.ts";
import { readOnlyError } from "./find-message.ts";
import {
  dueRuns,
  type FenceState,
  halvesOf,
  noteAlive,
  noteTaken,
  nothingFenced,
  type Try,
  tooLongHoles,
  triesOf,
  watchHoles,
} from "./hole-proof.ts";
import { fenceIds } from "./statements/fence-ids.ts";
import { probeHoles } from "./statements/probe-holes.ts";
import { readRemoved } from "./statements/read-removed.ts";
import { restoreLockWait } from "./statements/restore-lock-wait.ts";
import { shortenLockWait } from "./statements/shorten-lock-wait.ts";

const lookMsMax = 1_000;
const fenceAfterMsDefault = 30_000;

/** A lock that is not free, a row that is there by now, a deadlock that we lost: somebody is alive, and all of our statement was undone. */
const alive: ReadonlySet<number> = new Set([1205, 3572, 1062, 1213]);

/** Read-only server or session: a replica, or a primary that is being demoted. */
const readOnly: ReadonlySet<number> = new Set([1290, 1792, 1836]);

/** @throws WAYBILL_CONFIG_INVALID */
export function beginFencing(tables: LedgerTables, stream: string, options: HoleProofOptions = {}): HoleProof {
  const { fenceAfterMs = fenceAfterMsDefault, clock = systemClock, onFence = () => undefined } = options;
  const isTime = Number.isSafeInteger(fenceAfterMs) && fenceAfterMs >= 0;
  throwConfigProblems("The fence", isTime ? [] : [{ option: "fenceAfterMs", problem: "a whole number of at least 0" }]);
  let state: FenceState = nothingFenced;
  let toldTooLong = 0;

  /** Tries until nothing is due or the time of this look is over. */
  const fence = async (connection: Connection, deadlineMs: number): Promise<void> => {
    const untilMs = clock.monotonicMs() + lookMsMax;
    const tries: Try[] = [...triesOf(dueRuns(state, clock.monotonicMs(), fenceAfterMs))];
    for (let next = tries.shift(); next !== undefined && clock.monotonicMs() < untilMs; next = tries.shift()) {
      if (await take(connection, tables, next, deadlineMs, onFence)) {
        state = noteTaken(state, next.ids);
        const [run] = next.probed;
        const reached = next.ids.at(-1)?.high;
        if (run !== undefined && next.probed.length === 1 && reached !== undefined && reached < run.high) {
          tries.unshift(...triesOf([{ low: reached + 1n, high: run.high }]));
        }
        continue;
      }
      const halves = halvesOf(next);
      if (halves !== null) tries.unshift(...halves);
      else for (const run of next.probed) state = noteAlive(state, run, clock.monotonicMs());
    }
  };

  return {
    async look(connection, holes, { deadlineMs }) {
      const [row] = (await connection.query(readRemoved(tables.outbox, tables.stream), [stream], { deadlineMs })) as readonly {
        removed_to: string;
        is_read_only: number | string;
      }[];
      if (row === undefined || Number(row.is_read_only) !== 0) throw readOnlyError();
      // What history was removed from is dead without a row of ours: every id there had a row once, a message's or a fence's.
      const removed = intersectRanges(holes, [{ low: 0n, high: BigInt(row.removed_to) }]);

      state = watchHoles(state, subtractRanges(holes, removed), clock.monotonicMs());
      if (dueRuns(state, clock.monotonicMs(), fenceAfterMs).length > 0) {
        await connection.execute(shortenLockWait, [], { deadlineMs });
        await fence(connection, deadlineMs);
        await connection.execute(restoreLockWait, [], { deadlineMs });
      }
      const tooLong = tooLongHoles(state);
      if (tooLong.length !== toldTooLong && tooLong.length > 0) {
        onFence({ kind: "tooLong", ranges: tooLong.length, ids: tooLong.reduce((ids, { low, high }) => ids + high - low + 1n, 0n) });
      }
      toldTooLong = tooLong.length;
      return removed;
    },
  };
}

/** Takes the ids of one try, all of them or none. False: somebody is alive there. */
async function take(
  connection: Connection,
  { outbox }: LedgerTables,
  { probed, ids }: Try,
  deadlineMs: number,
  onFence: NonNullable<HoleProofOptions["onFence"]>,
): Promise<boolean> {
  const count = Number(ids.reduce((sum, { low, high }) => sum + high - low + 1n, 0n));
  try {
    if ((await connection.query(probeHoles(outbox, probed), [], { deadlineMs })).length > 0) return false;
    onFence({ kind: "fencing", ids: count });
    await connection.execute(fenceIds(outbox, ids), [], { deadlineMs });
    onFence({ kind: "fenced", ids: count });
    return true;
  } catch (error) {
    const number = errorNumber(error);
    if (number !== null && alive.has(number)) return false;
    if (number !== null && readOnly.has(number)) throw readOnlyError();
    throw error;
  }
}
