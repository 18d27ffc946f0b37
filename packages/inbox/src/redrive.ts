/**
 * Running what was released of the dead letters.
 *
 *     types that became known: dead ──▶ released          an operator: dead ──▶ released, or discarded
 *                                          │                                      │
 *     lanes whose first open row is not dead ◀────────────────────────────────────┘
 *          └─ take rows up to the first dead one ──▶ run each ──▶ done, or dead once more: then leave the lane
 *
 * Meanwhile newer messages of the lane join it as held, and are taken in their turn, until it has no open row. Where an attempt fails and
 * will be repeated, the lane is left for the backoff; where somebody else is at the row, it is left to him.
 */

import type { DeadLetter, ReleasedLane } from "@waybill/dead-letter";
import { committedValue, writeAudit } from "@waybill/sql";
import { arrivalOfLetter } from "./arrival.ts";
import { reasons } from "./decision.ts";
import type { Engine } from "./engine.ts";
import { handleMessage } from "./handle-message.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { redrivenWay } from "./redriven-way.ts";

/** Lanes looked for beside those that back off, and those that are remembered as backing off. */
const lanesMax = 16;
const backingOffMax = 1_000;
/** Rows taken from a lane at once; `takeReleased` bounds their bytes. */
const rowsMax = 100;
/** Lanes at a time; each holds what it took, a few megabytes. */
const lanesAtOnce = 4;
/** Rows released for their type in one unit. */
const typeRowsMax = 200;

export interface Redrive {
  /** dead → released for types that nobody knew when they came and that are known now. Answers how many. */
  releaseKnownTypes(life: Lifecycle): Promise<number>;
  /** One look at all lanes. Answers how many messages were done or refused. */
  pass(life: Lifecycle): Promise<number>;
}

export function createRedrive(engine: Engine): Redrive {
  const { settings, deadLetters, reader, space } = engine;
  const { database, clock } = settings;
  /** Lane → monotonic time before which it is left alone. */
  const backingOff = new Map<string, number>();

  const isBackingOff = (name: string): boolean => {
    const untilMs = backingOff.get(name);
    if (untilMs === undefined) return false;
    if (clock.monotonicMs() < untilMs) return true;
    backingOff.delete(name);
    return false;
  };

  const take = async (lane: ReleasedLane): Promise<readonly DeadLetter[]> =>
    committedValue(
      "redrive",
      await database.unitOfWork((tx) => deadLetters.takeReleased(tx, reader, lane, rowsMax), { operation: "redrive" }),
    );

  /** Answers how many messages were decided before the lane was empty or had to be left. */
  const runLane = async (lane: ReleasedLane, life: Lifecycle): Promise<number> => {
    let decided = 0;
    for (;;) {
      const letters = await take(lane);
      for (const letter of letters) {
        if (life.stop.aborted) return decided;
        engine.report({ name: "inbox.redriving", messageId: letter.messageId });
        const arrival = arrivalOfLetter(letter);
        const ended = await handleMessage(engine, arrival, redrivenWay(engine, arrival, letter), life, true);
        if (ended.kind === "again" && backingOff.size < backingOffMax) backingOff.set(nameOf(lane), clock.monotonicMs() + ended.afterMs);
        if (ended.kind === "done") {
          engine.report({ name: "inbox.redriven", messageId: letter.messageId });
          decided += 1;
        }
        const isOutOfTheWay = ended.kind === "done" && ended.as !== "deadLettered";
        if (!isOutOfTheWay && lane.key !== null) return decided;
      }
      if (letters.length === 0 || lane.key === null) return decided;
    }
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
      const found = await deadLetters.findReleased(database, reader, lanesMax + backingOff.size);
      // Messages without key of producers that give no sequence are found one by one and have one name: they are taken together.
      const byName = new Map(found.map((lane) => [nameOf(lane), lane]));
      for (const name of backingOff.keys()) if (!byName.has(name)) backingOff.delete(name);
      const lanes = [...byName]
        .filter(([name]) => !isBackingOff(name))
        .map(([, lane]) => lane)
        .values();
      const runSome = async (): Promise<number> => {
        let decided = 0;
        for (const lane of lanes) {
          if (life.stop.aborted) break;
          decided += await runLane(lane, life);
        }
        return decided;
      };
      const decided = await Promise.all(Array.from({ length: lanesAtOnce }, runSome));
      return decided.reduce((sum, some) => sum + some, 0);
    },
  };
}

function nameOf({ topic, key, sequence }: ReleasedLane): string {
  return key === null ? `${topic}\u0000${sequence}` : `${topic}\u0001${key}`;
}
