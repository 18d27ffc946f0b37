import type { Clock } from "@waybill/core";

/** What time it is in the database, as far as we were last told: for ages of ids, which no statement compares. No jump of our own clock moves it. */
export interface DatabaseClock {
  nowMs(): number;
  /** The database said so just now. */
  observe(nowMs: number): void;
}

export function databaseClock(clock: Clock, firstMs: number): DatabaseClock {
  let aheadMs = firstMs - clock.monotonicMs();
  return {
    nowMs: () => clock.monotonicMs() + aheadMs,
    observe(nowMs) {
      aheadMs = nowMs - clock.monotonicMs();
    },
  };
}
