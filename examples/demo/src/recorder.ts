/**
 * What arrived, as somebody noted it down who stands beside the processes under test: in memory, in a file, and told to whoever waits.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Received } from "@waybill/auditor";

export interface Recorder {
  /** Where a relay is to send to. */
  readonly url: string;
  /** Everything received so far, in order of arrival. */
  readonly received: readonly Received[];
  /** How many different messages that were. */
  distinct(): number;
  /** Resolves with true when the next message arrives; false after `deadlineMs`. */
  next(deadlineMs: number): Promise<boolean>;
  /** Resolves when everything that is there has been received. */
  readToEnd(): Promise<void>;
  close(): Promise<void>;
}

export interface Arrivals {
  readonly received: readonly Received[];
  note(entry: Received): void;
  distinct(): number;
  next(deadlineMs: number): Promise<boolean>;
  close(): void;
}

/** Notes arrivals down in `file`, one JSON object per line. */
export function noteArrivals(file: string): Arrivals {
  const log = openSync(file, "a");
  const received: Received[] = [];
  const ids = new Set<string>();
  const waiting = new Set<() => void>();
  return {
    received,
    note(entry) {
      received.push(entry);
      ids.add(entry.messageId);
      const line = JSON.stringify(entry, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
      writeSync(log, `${line}\n`);
      for (const resolve of waiting) resolve();
    },
    distinct: () => ids.size,
    next: (deadlineMs) =>
      new Promise((resolve) => {
        const arrived = (): void => settle(true);
        const timer = setTimeout(() => settle(false), deadlineMs);
        const settle = (isThere: boolean): void => {
          clearTimeout(timer);
          waiting.delete(arrived);
          resolve(isThere);
        };
        waiting.add(arrived);
      }),
    close: () => closeSync(log),
  };
}
