import type { Clock } from "@waybill/core";

/** How often something may be done per second, by name: so often at once, and refilled evenly. */
export interface RateLimit {
  /** 0: it may be done, and is counted. Otherwise milliseconds until it may. */
  take(name: string): number;
}

export function createRateLimit(clock: Clock, perSecond: number): RateLimit {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return {
    take(name) {
      const nowMs = clock.monotonicMs();
      const bucket = buckets.get(name) ?? { tokens: perSecond, atMs: nowMs };
      buckets.set(name, bucket);
      bucket.tokens = Math.min(perSecond, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond);
      bucket.atMs = nowMs;
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / perSecond) * 1_000);
      bucket.tokens -= 1;
      return 0;
    },
  };
}
