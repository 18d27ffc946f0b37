/**
 * Holding a lease: the right to act for a while, given by a row in the database and measured by the database's clock.
 *
 *     database   ├────────────── leaseMs ───────────────┤ free for others
 *     us         ├────────── ¾ leaseMs ──────┤ we act no more
 *                ↑ just before the renewal was *sent*
 *
 * We count from before the request, and stop a quarter early, so that our trust always ends before the database lets somebody
 * else in – however late the answer came, and even if this process was frozen meanwhile: `isTrusted` is asked synchronously before
 * every effect, for after a freeze a timer may fire before anything else runs or long after. It needs no agreement between clocks,
 * only that neither runs a quarter faster than the other.
 */
import type { Clock } from "@waybill/core";

export interface HoldLeaseOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  /** Monotonic time just before the acquiring statement was sent. */
  readonly acquiredFromMs: number;
  /** Renews in the database, fenced by epoch and owner; false: no row was ours any more. A rejection loses the lease, too. */
  readonly renew: () => Promise<boolean>;
  /** Called once, when the lease is lost. */
  readonly onLost: (reason: "fenced" | "expired" | "failed", error: unknown) => void;
}

export interface HeldLease {
  /** True while we may act. Ask before every external effect, in the same synchronous step. */
  isTrusted(): boolean;
  /** Another fenced statement that was sent at this monotonic time renewed the lease, too. */
  extendFrom(sentAtMs: number): void;
  /** A fenced statement of ours changed no row: somebody else holds the lease. */
  lose(): void;
  /** Stops renewing. Not a loss. */
  end(): void;
}

/** Starts to renew a lease that was just acquired, every third of `leaseMs`. */
export function holdLease(options: HoldLeaseOptions): HeldLease {
  const { clock, leaseMs, renew, onLost } = options;
  const trustMs = (leaseMs * 3) / 4;
  let trustedUntilMs = options.acquiredFromMs + trustMs;
  let isOver = false;

  const lose = (reason: "fenced" | "expired" | "failed", error: unknown): void => {
    if (isOver) return;
    isOver = true;
    timer.cancel();
    onLost(reason, error);
  };

  const renewOnce = async (): Promise<void> => {
    if (isOver) return;
    const sentAtMs = clock.monotonicMs();
    if (sentAtMs >= trustedUntilMs) return lose("expired", null);
    watch();
    try {
      if (!(await renew())) return lose("fenced", null);
    } catch (error) {
      return lose("failed", error);
    }
    extendFrom(sentAtMs);
    schedule();
  };

  /** Tells that trust ran out while a renewal hangs, also to who has nothing to do and does not ask. */
  const watch = (): void => {
    timer = clock.setTimer(Math.max(1, trustedUntilMs - clock.monotonicMs()), () => {
      if (clock.monotonicMs() >= trustedUntilMs) lose("expired", null);
      else if (!isOver) watch(); // Another write of ours extended it meanwhile.
    });
  };

  const extendFrom = (sentAtMs: number): void => {
    if (!isOver) trustedUntilMs = Math.max(trustedUntilMs, sentAtMs + trustMs);
  };

  const schedule = (): void => {
    timer.cancel();
    if (!isOver) timer = clock.setTimer(leaseMs / 3, () => void renewOnce());
  };
  // Counted from the acquire, too: whatever was opened since then has used up some of the lease.
  const firstMs = Math.max(1, options.acquiredFromMs + leaseMs / 3 - clock.monotonicMs());
  let timer = clock.setTimer(firstMs, () => void renewOnce());

  return {
    isTrusted: () => {
      if (isOver) return false;
      if (clock.monotonicMs() < trustedUntilMs) return true;
      lose("expired", null);
      return false;
    },
    extendFrom,
    lose: () => lose("fenced", null),
    end: () => {
      isOver = true;
      timer.cancel();
    },
  };
}
