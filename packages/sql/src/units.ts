/**
 * Units of work over sessions that somebody lends: repeats the whole unit where the database asks for it, inside one deadline.
 */
import { backoffMs, type Clock, emit, type OnEvent, type Random, wait } from "@waybill/core";
import type { UnitOptions, Units } from "./database.ts";
import type { Session } from "./session.ts";
import { type Attempted, attemptUnit } from "./unit-of-work.ts";

export const unitDeadlineMs = 15_000;
const repetitionsMax = 5;
/** Who collided waits a little, and not as long as the other: full jitter from 10 ms doubling to 1 s. */
const repetitionBackoff = { firstMs: 10, maxMs: 1_000 } as const;

export interface Borrowed {
  readonly session: Session;
  readonly isReused: boolean;
  giveBack(): void;
}

export interface UnitsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent?: OnEvent | undefined;
  readonly beginDeadlineMs: number;
  readonly borrow: (deadlineMs: number) => Promise<Borrowed>;
}

export function createUnits({ clock, random, onEvent, beginDeadlineMs, borrow }: UnitsOptions): Units {
  return {
    async unitOfWork<T>(work: Parameters<typeof attemptUnit<T>>[1], options: UnitOptions) {
      const { operation, deadlineMs = unitDeadlineMs, byIndex = false } = options;
      const untilMs = clock.monotonicMs() + deadlineMs;
      const remainingMs = (): number => untilMs - clock.monotonicMs();
      let repetitionsLeft = options.repetitionsMax ?? repetitionsMax;
      let previous: Attempted<T> | null = null;

      for (let number = 1; ; number++) {
        let borrowed: Borrowed;
        try {
          borrowed = await borrow(Math.max(1, remainingMs()));
        } catch (error) {
          if (previous === null) throw error;
          return previous.outcome; // The first attempt was rolled back, and no connection is left for another.
        }
        const attempt = { clock, operation, deadlineMs, untilMs, beginDeadlineMs, byIndex };
        const ended: Attempted<T> = await attemptUnit(borrowed.session, work, attempt);
        borrowed.giveBack();
        previous = ended;

        if (ended.repeat === "neverBegan" && borrowed.isReused && remainingMs() > 0) continue; // It died while idle: take another.
        if (ended.repeat !== "asked" || repetitionsLeft === 0) return ended.outcome;
        repetitionsLeft--;
        const afterMs = backoffMs(repetitionBackoff, number, random);
        if (remainingMs() <= afterMs) return ended.outcome;
        emit(onEvent, { name: "sql.unitRepeated", sqlState: ended.sqlState ?? "", errno: ended.errno, attempt: number });
        await wait(clock, afterMs);
      }
    },
  };
}
