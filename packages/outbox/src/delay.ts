/** When a delayed message is due: what the caller may say, and how it goes to the database, whose clock decides. */
import { type Clock, type ConfigProblem, systemClock } from "@waybill/core";

export interface DelayOptions {
  /**
   * Not before this time, by the database's clock. In the past: due at once. At most 3 650 days from now, by the host's clock. Not together
   * with `delayMs`.
   */
  readonly deliverAt?: Date;
  /** Not before so many milliseconds have passed, counted by the database from this statement. At most 3 650 days. */
  readonly delayMs?: number;
}

/** One of both is null. Milliseconds since 1970, or from the statement that carries it. */
export type Due = { readonly atMs: number; readonly inMs: null } | { readonly atMs: null; readonly inMs: number };

const dayMs = 86_400_000;
/** Far enough for any reminder, and near enough that microseconds given for milliseconds are noticed. */
const delayMsMax = 3_650 * dayMs;

/** What is wrong with these options. */
export function delayProblems({ deliverAt, delayMs }: DelayOptions, clock: Clock = systemClock): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (deliverAt !== undefined && delayMs !== undefined) problems.push({ option: "delayMs", problem: "not together with deliverAt" });
  if (deliverAt !== undefined && !isDateUpTo(deliverAt, clock.wallMs() + delayMsMax)) {
    problems.push({ option: "deliverAt", problem: "must be a Date at most 3 650 days from now" });
  }
  if (delayMs !== undefined && !(Number.isSafeInteger(delayMs) && delayMs >= 0 && delayMs <= delayMsMax)) {
    problems.push({ option: "delayMs", problem: `must be a whole number from 0 to ${delayMsMax}` });
  }
  return problems;
}

/** When messages with these options are due; null: they are not delayed. */
export function dueOf({ deliverAt, delayMs }: DelayOptions): Due | null {
  // What lies before 1970 is due as well as 1970 is, and databases differ about how far back they count.
  if (deliverAt !== undefined) return { atMs: Math.max(0, deliverAt.getTime()), inMs: null };
  return delayMs === undefined ? null : { atMs: null, inMs: delayMs };
}

function isDateUpTo(given: unknown, latestMs: number): boolean {
  return given instanceof Date && given.getTime() <= latestMs;
}
