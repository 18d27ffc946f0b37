/** How long to wait between two reads of the ledger: short while messages come, and for a second after; then backing off. */
export interface PollInterval {
  /** The wait after a read that brought `rows` rows at `nowMs`. 0: read on at once, there is more. */
  after(rows: number, wasFull: boolean, nowMs: number): number;
}

const staysBusyMs = 1_000;

export function pollInterval(minMs: number, maxMs: number): PollInterval {
  let lastRowMs = Number.NEGATIVE_INFINITY;
  let waitMs = maxMs;
  return {
    after(rows, wasFull, nowMs) {
      if (rows > 0) lastRowMs = nowMs;
      if (wasFull) return 0;
      waitMs = nowMs - lastRowMs <= staysBusyMs ? minMs : Math.min(maxMs, waitMs * 2);
      return waitMs;
    },
  };
}
