/** At most so much of a call's time is kept for answers. */
const answersMsMax = 2_000;

/**
 * How long into a call a transport still begins to write, in milliseconds: the last quarter of its time, two seconds at most, is for answers. What
 * is written later is cut off by the deadline more often than not; then it is `unknown`, is published again, and takes the connection
 * that carries it along. What waits for the next call costs nothing.
 */
export function writeTimeMs(deadlineMs: number): number {
  return deadlineMs - Math.min(answersMsMax, deadlineMs / 4);
}
