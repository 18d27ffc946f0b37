import type { Random } from "./random.ts";

/** How long to wait before trying again. */
export interface BackoffPolicy {
  /** Upper end of the first wait, in milliseconds. */
  readonly firstMs: number;
  /** Upper end of any wait, in milliseconds. */
  readonly maxMs: number;
}

/**
 * The wait before attempt `attempt + 1`, after `attempt` failed ones (1 for the first): full jitter over an upper end that doubles
 * from `firstMs` to `maxMs`. Full jitter spreads clients that failed together better than a fixed wait plus noise does
 * (M. Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * Never 0: a loop that retries must always let others run.
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: Random): number {
  const doublings = Math.min(Math.max(0, attempt - 1), 40);
  const upperMs = Math.min(policy.maxMs, policy.firstMs * 2 ** doublings);
  return Math.max(1, Math.round(random.fraction() * upperMs));
}
