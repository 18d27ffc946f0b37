/** Tells how far a run has come, and ends one in which nothing moves any more: a slow machine may take its time. */
export interface Progress {
  /** Aborts when nothing has moved for `stalledAfterMs`. */
  readonly stalled: AbortSignal;
  end(): void;
}

const everyMs = 1_000;
/** More than a killed process's lease, the longest backoff, and a service's start together. */
export const stalledAfterMs = 30_000;

export function watchProgress(status: () => string, tell: (line: string) => void): Progress {
  const stalled = new AbortController();
  let seen = "";
  let seenAt = performance.now();
  const ticker = setInterval(() => {
    const now = status();
    if (now !== seen) seenAt = performance.now();
    if (performance.now() - seenAt > stalledAfterMs) stalled.abort();
    seen = now;
    tell(now);
  }, everyMs);
  return { stalled: stalled.signal, end: () => clearInterval(ticker) };
}
