import { type Clock, type Timer, waybillError } from "@waybill/core";

/** The deadline of one attempt: the handler's signal, and the end of waiting for it. */
export interface AttemptDeadline {
  readonly signal: AbortSignal;
  isPassed(): boolean;
  isCut(): boolean;
  /** Runs the handler until it ends or the deadline passes. From its first call on the time runs, also over repetitions of the unit. */
  during(run: () => Promise<void> | void): Promise<void>;
  /** Call it once the attempt has ended. */
  end(): void;
}

/** `cut` ends the attempt before its time. */
export function attemptDeadline(clock: Clock, deadlineMs: number, cut: AbortSignal): AttemptDeadline {
  const controller = new AbortController();
  let timer: Timer | null = null;
  let isPassed = false;
  let isCut = cut.aborted;

  const onCut = (): void => {
    isCut = true;
    controller.abort(
      waybillError("WAYBILL_DEADLINE", "The inbox was stopped before the handler had ended.", { operation: "handler", deadlineMs }),
    );
  };
  const onTime = (): void => {
    isPassed = true;
    const message = `The handler took longer than ${deadlineMs} ms. Make it faster, or raise handlerDeadlineMs.`;
    controller.abort(waybillError("WAYBILL_DEADLINE", message, { operation: "handler", deadlineMs }));
  };
  if (isCut) onCut();
  else cut.addEventListener("abort", onCut, { once: true });

  return {
    signal: controller.signal,
    isPassed: () => isPassed,
    isCut: () => isCut,
    during(run) {
      return new Promise((resolve, reject) => {
        const onAbort = (): void => reject(controller.signal.reason as Error);
        if (controller.signal.aborted) return onAbort();
        controller.signal.addEventListener("abort", onAbort, { once: true });
        timer ??= clock.setTimer(deadlineMs, onTime);
        const leave = (): void => controller.signal.removeEventListener("abort", onAbort);
        // A handler that ends after its deadline, well or badly, has nobody left to tell: its transaction is gone.
        Promise.resolve()
          .then(run)
          .then(
            () => {
              leave();
              resolve();
            },
            (error: unknown) => {
              leave();
              reject(error);
            },
          );
      });
    },
    end() {
      timer?.cancel();
      cut.removeEventListener("abort", onCut);
    },
  };
}
