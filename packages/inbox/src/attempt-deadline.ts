import { type Clock, type Timer, waybillError } from "@waybill/core";
import type { Cut } from "./lifecycle.ts";

/** How much longer than the handler's deadline the unit may take: the wait for a connection, our own statements, the COMMIT. */
export const unitMarginMs = 5_000;

/** The deadline of one attempt: the handler's signal, and the end of waiting for it. */
export interface AttemptDeadline {
  /** Made when it is first asked for: most handlers never look, and a signal costs more than the rest of the bookkeeping. */
  readonly signal: AbortSignal;
  isPassed(): boolean;
  isCut(): boolean;
  /** Milliseconds since `during` was first called; 0: it was not. */
  elapsedMs(): number;
  /** Runs the handler until it ends or the deadline passes. From its first call on the time runs, also over repetitions of the unit. */
  during(run: () => Promise<void> | void): Promise<void>;
  /** Call it once the attempt has ended. */
  end(): void;
}

/** `cut` ends the attempt before its time. */
export function attemptDeadline(clock: Clock, deadlineMs: number, cut: Cut): AttemptDeadline {
  let controller: AbortController | null = null;
  let timer: Timer | null = null;
  let startedMs: number | null = null;
  let isPassed = false;
  let over: Error | null = null;
  let giveUp: (error: Error) => void = () => undefined;

  const end = (message: string): void => {
    over ??= waybillError("WAYBILL_DEADLINE", message, { operation: "handler", deadlineMs });
    controller?.abort(over);
    giveUp(over);
  };
  const onTime = (): void => {
    isPassed = true;
    end(`The handler took longer than ${deadlineMs} ms. Make it faster, or raise handlerDeadlineMs.`);
  };
  const forgetCut = cut.onCut(() => end("The inbox was stopped before the handler had ended."));

  return {
    get signal() {
      controller ??= new AbortController();
      if (over !== null) controller.abort(over);
      return controller.signal;
    },
    isPassed: () => isPassed,
    isCut: () => over !== null && !isPassed,
    elapsedMs: () => (startedMs === null ? 0 : clock.monotonicMs() - startedMs),
    during(run) {
      if (over !== null) return Promise.reject(over);
      timer ??= clock.setTimer(deadlineMs, onTime);
      startedMs ??= clock.monotonicMs();
      return new Promise((resolve, reject) => {
        giveUp = reject;
        // A handler that ends after its deadline, well or badly, has nobody left to tell: its transaction is gone.
        Promise.resolve().then(run).then(resolve, reject);
      });
    },
    end() {
      timer?.cancel();
      forgetCut();
    },
  };
}
