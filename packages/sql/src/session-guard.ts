/**
 * A driver's client that cannot hang us, cannot end the process, and is never used again once doubted.
 *
 *     connecting ──▶ usable ──statement──▶ busy ──answer──▶ usable
 *         │             │                    │
 *         └─────────────┴── deadline, fatal error, lost socket ──▶ destroyed (for ever)
 *
 * - A driver's client emits `error` whenever the server or the network ends it, also between two statements; without a listener that ends
 *   the process. Whoever makes a guard has it listen from before `connect` until the end.
 * - After a deadline the answer may still come and would be taken for the next statement's: the socket is destroyed, not ended, for a
 *   half-open connection never says goodbye.
 * - Whoever waits when the client is lost is told at once: some drivers forget what was under way when they are destroyed.
 */
import { type Clock, emit, type OnEvent, type WaybillError } from "@waybill/core";
import { deadlineError } from "./deadline-error.ts";

export interface SessionGuardOptions {
  readonly clock: Clock;
  readonly onEvent?: OnEvent | undefined;
  /** Destroys the client's socket. */
  readonly destroy: () => void;
  /** Says goodbye and waits until the server has hung up. */
  readonly goodbye: () => Promise<unknown>;
  /** What may be told of the driver's error. */
  readonly databaseError: (operation: string, error: unknown) => WaybillError<"WAYBILL_DATABASE">;
  /** True if no further statement should be sent after this error. */
  readonly endsConnection: (error: unknown) => boolean;
  /** What a lost connection is reported as. */
  readonly codeOf: (error: unknown) => string;
}

export interface SessionGuard {
  readonly lost: AbortSignal;
  /** The client says that it is over. */
  onError(error: unknown): void;
  onEnd(): void;
  /** Waits for the driver, but not longer than we want; `namedMs` is what the error tells. */
  within<T>(operation: string, namedMs: number, deadlineMs: number, promise: Promise<T>): Promise<T>;
  destroy(code?: string): void;
  end(deadlineMs: number): Promise<void>;
}

export function guardSession(options: SessionGuardOptions): SessionGuard {
  const { clock, onEvent, databaseError, codeOf } = options;
  const lost = new AbortController();
  const waiting = new Set<(error: unknown) => void>();
  let isEnding = false;

  const lose = (code: string | undefined, error: unknown): void => {
    if (lost.signal.aborted) return;
    lost.abort();
    options.destroy();
    for (const giveUp of waiting) giveUp(error);
    if (code !== undefined && !isEnding) emit(onEvent, { name: "sql.connectionLost", code });
  };
  const terminated = (): Error => new Error("Connection terminated");

  const within = <T>(operation: string, namedMs: number, deadlineMs: number, promise: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel();
        waiting.delete(giveUp);
      };
      const giveUp = (error: unknown): void => {
        settle();
        reject(databaseError(operation, error));
      };
      const timer = clock.setTimer(deadlineMs, () => {
        settle();
        lose("WAYBILL_DEADLINE", terminated());
        reject(deadlineError(operation, namedMs));
      });
      waiting.add(giveUp);
      promise.then(
        (value) => {
          settle();
          resolve(value);
        },
        (error: unknown) => {
          settle();
          if (operation === "connect" || options.endsConnection(error)) lose(codeOf(error), error);
          reject(databaseError(operation, error));
        },
      );
    });

  return {
    lost: lost.signal,
    onError: (error) => lose(codeOf(error), error),
    onEnd: () => lose("ENDED", terminated()),
    within,
    destroy: (code) => lose(code, terminated()),
    end: async (deadlineMs) => {
      if (lost.signal.aborted) return;
      isEnding = true;
      try {
        await within("close", deadlineMs, deadlineMs, options.goodbye());
      } catch {
        // Politeness failed: the socket is destroyed below, which is all that closing needs.
      }
      lose("ENDED", terminated());
    },
  };
}
