/**
 * Running what was released of the dead letters.
 *
 *     types that became known: dead ──▶ released          an operator: dead ──▶ released, or discarded
 *                                          │                                      │
 *     lanes whose first open row is not dead ◀────────────────────────────────────┘
 *          └─ take rows up to the first dead one ──▶ run each ──▶ done, or dead once more: then leave the lane
 *
 * Meanwhile newer messages of the lane join it as held, and are taken in their turn, until it has no open row. Where an attempt fails and
 * will be repeated, the lane is left for the backoff; where somebody else is at the row, it is left to him. A message without key is a
 * lane of its own. Every pass goes through all lanes, and every lane has one turn in it: none waits for more than one turn of the others.
 */
import { backoffMs } from "@waybill/core";
import type { DeadLetter, ReleasedLane } from "@waybill/dead-letter";
import { committedValue, writeAudit } from "@waybill/sql";
import { arrivalOfLetter } from "./arrival.ts";
import { codeOf, reasons } from "./decision.ts";
import type { Engine } from "./engine.ts";
import { handleMessage } from "./handle-message.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { redrivenWay } from "./redriven-way.ts";

/** Lanes of one page, and those that are remembered as backing off. */
const lanesMax = 100;
const backingOffMax = 10_000;
/** Rows taken from a lane at once; `takeReleased` bounds their bytes. */
const rowsMax = 100;
/** After so long a lane has had its turn. */
const turnMs = 1_000;
/** Lanes at a time; each holds what it took, a few megabytes. */
const lanesAtOnce = 4;
/** For a lane whose rows could not be taken. */
const takeBackoff = { firstMs: 1_000, maxMs: 30_000 } as const;
/** Rows released for their type in one unit. */
const typeRowsMax = 200;

export interface Redrive {
  /** dead → released for types that nobody knew when they came and that are known now. Answers how many. */
  releaseKnownTypes(life: Lifecycle): Promise<number>;
  /**
   * One look at all lanes, page by page, and one turn for each of them: `rowsMax` messages or `turnMs` at most, so that a long or slow
   * lane keeps no other waiting. A lane that fails is left to a later pass. Answers how many messages were done or refused.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE if the lanes cannot be read; what is known of is run before
   */
  pass(life: Lifecycle): Promise<number>;
}

export function createRedrive(engine: Engine): Redrive {
  const { settings, deadLetters, reader, space } = engine;
  const { database, clock } = settings;
  /** Lane → monotonic time before which it is left alone. */
  const backingOff = new Map<string, number>();
  let takesFailed = 0;

  const backOff = (lane: ReleasedLane, afterMs: number): void => {
    if (backingOff.size < backingOffMax) backingOff.set(nameOf(lane), clock.monotonicMs() + afterMs);
  };
  const forgetPast = (): void => {
    for (const [name, untilMs] of backingOff) if (clock.monotonicMs() >= untilMs) backingOff.delete(name);
  };

  const take = async (lane: ReleasedLane): Promise<readonly DeadLetter[]> =>
    committedValue(
      "redrive",
      await database.unitOfWork((tx) => deadLetters.takeReleased(tx, reader, lane, rowsMax), { operation: "redrive" }),
    );

  /** Answers how many messages were decided before the turn was over or the lane had to be left. */
  const runLane = async (lane: ReleasedLane, life: Lifecycle): Promise<number> => {
    let decided = 0;
    const untilMs = clock.monotonicMs() + turnMs;
    for (const letter of await take(lane)) {
      if (life.stop.aborted || (decided > 0 && clock.monotonicMs() >= untilMs)) return decided;
      engine.report({ name: "inbox.redriving", messageId: letter.messageId });
      const arrival = arrivalOfLetter(letter);
      const ended = await handleMessage(engine, arrival, redrivenWay(engine, arrival, letter), life, true);
      if (ended.kind === "again") backOff(lane, ended.afterMs);
      if (ended.kind === "done") {
        engine.report({ name: "inbox.redriven", messageId: letter.messageId });
        decided += 1;
      }
      const isOutOfTheWay = ended.kind === "done" && ended.as !== "deadLettered";
      if (!isOutOfTheWay) return decided;
    }
    return decided;
  };

  /** As `runLane`; never rejects. What fails in one lane says nothing about the others. */
  const tryLane = async (lane: ReleasedLane, life: Lifecycle): Promise<number> => {
    try {
      const decided = await runLane(lane, life);
      takesFailed = 0;
      return decided;
    } catch (error) {
      takesFailed += 1;
      const afterMs = backoffMs(takeBackoff, takesFailed, settings.random);
      backOff(lane, afterMs);
      engine.report({ name: "inbox.upkeepFailed", code: codeOf(error), afterMs });
      return 0;
    }
  };

  /** Runs lanes side by side, each one once. */
  const runLanes = async (lanes: readonly ReleasedLane[], life: Lifecycle): Promise<number> => {
    const left = lanes.values();
    const runSome = async (): Promise<number> => {
      let decided = 0;
      for (const lane of left) {
        if (life.stop.aborted) break;
        decided += await tryLane(lane, life);
      }
      return decided;
    };
    const decided = await Promise.all(Array.from({ length: lanesAtOnce }, runSome));
    return decided.reduce((sum, some) => sum + some, 0);
  };

  return {
    async releaseKnownTypes(life) {
      const types = [...engine.registrations.keys(), ...engine.ignored];
      if (types.length === 0) return 0;
      engine.report({ name: "inbox.typesReleasing", types: types.length });
      let released = 0;
      while (!life.stop.aborted) {
        const page = committedValue(
          "release types",
          await database.unitOfWork(
            async (tx) => {
              const ids = await deadLetters.releaseTypes(tx, reader, reasons.unknownType, types, typeRowsMax);
              for (const id of ids) {
                const subject = `inbox ${reader.name} message ${id}`;
                await writeAudit(tx, space, {
                  who: `inbox ${reader.name}`,
                  what: "dead-letter.redrive",
                  subject,
                  why: "its type is known now",
                });
              }
              return ids.length;
            },
            { operation: "release types" },
          ),
        );
        released += page;
        if (page < typeRowsMax) break;
      }
      engine.report({ name: "inbox.typesReleased", messages: released });
      return released;
    },

    async pass(life) {
      forgetPast();
      let decided = 0;
      let after: ReleasedLane | null = null;
      while (!life.stop.aborted) {
        const page: readonly ReleasedLane[] = await deadLetters.findReleased(database, reader, lanesMax, after);
        decided += await runLanes(
          page.filter((lane) => !backingOff.has(nameOf(lane))),
          life,
        );
        after = page.at(-1) ?? null;
        if (page.length < lanesMax) break;
      }
      return decided;
    },
  };
}

function nameOf({ topic, key, sequence, messageId }: ReleasedLane): string {
  return key === null ? `${messageId}\u0000${sequence}` : `${topic}\u0001${key}`;
}
