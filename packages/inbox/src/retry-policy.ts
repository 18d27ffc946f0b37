import type { ConfigProblem } from "@waybill/core";

/** How often a message is tried again after its handler threw, and when. */
export interface RetryPolicy {
  /** Upper end of the wait after the first attempt, in milliseconds. It doubles from attempt to attempt; the wait is anything up to it. */
  readonly firstMs: number;
  /** Upper end of any wait, in milliseconds. */
  readonly maxMs: number;
  /** Attempts before the message becomes a dead letter. null: as many as it takes; its key waits so long. */
  readonly attemptsMax: number | null;
}

/**
 * Policies that every inbox knows by name, besides `usual`, which is what `backoff` and `attemptsMax` say.
 *
 * `fiveTimes`: five attempts within half a minute at most, for what either works soon or never. `untilSuccess`: until it is handled, at least every
 * five minutes, for what must not be given up.
 */
const known: Readonly<Record<string, RetryPolicy>> = {
  fiveTimes: { firstMs: 1_000, maxMs: 16_000, attemptsMax: 5 },
  untilSuccess: { firstMs: 1_000, maxMs: 300_000, attemptsMax: null },
};

const dayMs = 86_400_000;

/** All policies of an inbox by name. */
export function retryPolicies(usual: RetryPolicy, own: Readonly<Record<string, RetryPolicy>>): ReadonlyMap<string, RetryPolicy> {
  return new Map(Object.entries({ ...own, ...known, usual }));
}

export function retryPolicyProblems(own: Readonly<Record<string, RetryPolicy>>): readonly ConfigProblem[] {
  return Object.entries(own).flatMap(([name, { firstMs, maxMs, attemptsMax }]) => {
    const option = `retryPolicies.${name}`;
    const isTaken = name === "usual" || Object.hasOwn(known, name);
    return [
      ...(isTaken ? [{ option, problem: "the name has a meaning already" }] : []),
      ...wholeNumber(`${option}.firstMs`, firstMs, 1, dayMs),
      ...wholeNumber(`${option}.maxMs`, maxMs, firstMs, dayMs),
      ...(attemptsMax === null ? [] : wholeNumber(`${option}.attemptsMax`, attemptsMax, 1, 1_000_000)),
    ];
  });
}

function wholeNumber(option: string, value: number, min: number, max: number): readonly ConfigProblem[] {
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [{ option, problem: `must be a whole number from ${min} to ${max}` }];
}
