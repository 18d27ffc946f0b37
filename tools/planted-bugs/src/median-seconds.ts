/** The middle one of several durations; of an even number the mean of the two in the middle, to a tenth of a second. 0 if there are none. */
export function medianSeconds(seconds: readonly number[]): number {
  const sorted = [...seconds].sort((one, other) => one - other);
  const low = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
  const high = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return Math.round(5 * (low + high)) / 10;
}
