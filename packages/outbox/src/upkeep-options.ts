/** What the options of upkeep have in common: their unit, and how they are judged. */
import type { ConfigProblem } from "@waybill/core";

export const hourMs: number = 3_600_000;
export const dayMs: number = 24 * hourMs;

/** Complains about an option that is no whole number in its range. */
export function wholeNumber(option: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): readonly ConfigProblem[] {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return [];
  return [
    { option, problem: max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}` },
  ];
}
