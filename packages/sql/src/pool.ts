/**
 * A few sessions, lent one by one.
 *
 *     acquire ──▶ idle one? ──▶ lend it                     release ──▶ healthy? ──▶ the first waiter, else idle
 *                 room?     ──▶ open one, lend it                       lost?    ──▶ its place is free: the first waiter opens one
 *                 else      ──▶ wait in line, with a deadline
 *
 * A session counts from before it is opened until it is lost, so that a slow server never gets more than `sessionsMax`. Opening has a
 * deadline of its own and a lost session frees its place by itself: the pool cannot be wedged.
 */
import { type Clock, type Timer, waybillError } from "@waybill/core";
import { deadlineError } from "./deadline-error.ts";
import type { Session } from "./session.ts";

/** Callers in line beyond this are refused at once: whoever comes later would wait in vain. */
const waitersMax = 1_000;

export interface PoolOptions {
  readonly clock: Clock;
  readonly sessionsMax: number;
  readonly connectDeadlineMs: number;
  readonly open: (deadlineMs: number) => Promise<Session>;
}

export interface Lent {
  readonly session: Session;
  /** True if the session was idle before: it may have died unnoticed. */
  readonly isReused: boolean;
}

export interface Pool {
  /** @throws WAYBILL_DEADLINE, WAYBILL_DATABASE, WAYBILL_CONFIG_INVALID */
  acquire(deadlineMs: number): Promise<Lent>;
  /** Takes a session back; one inside a transaction, or lost, is destroyed. */
  release(session: Session): void;
  /** Refuses who comes now, serves who came before until the deadline, and ends all sessions. */
  close(deadlineMs: number): Promise<void>;
}

interface Waiter {
  readonly resolve: (lent: Lent) => void;
  readonly reject: (error: Error) => void;
  readonly untilMs: number;
  readonly timer: Timer;
}

export function createPool(options: PoolOptions): Pool {
  const { clock, sessionsMax } = options;
  const idle: Session[] = [];
  const sessions = new Set<Session>();
  const waiters: Waiter[] = [];
  let opening = 0;
  /** Nobody may come any more. */
  let isClosing = false;
  /** Nobody is served any more. */
  let isOver = false;
  let onQuiet: (() => void) | null = null;

  const hasRoom = (): boolean => sessions.size + opening < sessionsMax;

  const open = async (deadlineMs: number): Promise<Session> => {
    opening++;
    let session: Session;
    try {
      session = await options.open(Math.min(deadlineMs, options.connectDeadlineMs));
    } finally {
      opening--;
    }
    if (isOver) {
      session.destroy();
      throw closedError();
    }
    sessions.add(session);
    if (session.lost.aborted) forget(session);
    else session.lost.addEventListener("abort", () => forget(session), { once: true });
    return session;
  };

  const forget = (session: Session): void => {
    sessions.delete(session);
    const place = idle.indexOf(session);
    if (place >= 0) idle.splice(place, 1);
    serve();
  };

  /** Gives what is free to who waits longest. */
  const serve = (): void => {
    while (waiters.length > 0 && (idle.length > 0 || hasRoom())) {
      const waiter = waiters.shift() as Waiter;
      waiter.timer.cancel();
      const session = idle.pop();
      if (session !== undefined) waiter.resolve({ session, isReused: true });
      else {
        open(Math.max(1, waiter.untilMs - clock.monotonicMs())).then(
          (opened) => waiter.resolve({ session: opened, isReused: false }),
          (error: Error) => {
            waiter.reject(error);
            serve();
          },
        );
      }
    }
    if (sessions.size === idle.length && opening === 0 && waiters.length === 0) onQuiet?.();
  };

  return {
    async acquire(deadlineMs) {
      if (isClosing) throw closedError();
      if (waiters.length >= waitersMax) throw deadlineError("a connection", 0);
      return new Promise<Lent>((resolve, reject) => {
        const timer = clock.setTimer(deadlineMs, () => {
          const place = waiters.indexOf(waiter);
          if (place >= 0) waiters.splice(place, 1);
          reject(deadlineError("a connection", deadlineMs));
        });
        const waiter: Waiter = { resolve, reject, timer, untilMs: clock.monotonicMs() + deadlineMs };
        waiters.push(waiter);
        serve();
      });
    },

    release(session) {
      if (session.lost.aborted) return;
      if (isOver) return session.destroy();
      if (session.status() !== "I") return session.destroy("IN_TRANSACTION");
      idle.push(session);
      serve();
    },

    async close(deadlineMs) {
      const untilMs = clock.monotonicMs() + deadlineMs;
      const leftMs = (): number => Math.max(1, untilMs - clock.monotonicMs());
      isClosing = true;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(deadlineMs, () => resolve());
        onQuiet = () => {
          timer.cancel();
          resolve();
        };
        serve();
      });
      isOver = true;
      for (const waiter of waiters.splice(0)) {
        waiter.timer.cancel();
        waiter.reject(closedError());
      }
      const unused = new Set(idle);
      for (const session of [...sessions].filter((inUse) => !unused.has(inUse))) session.destroy();
      await Promise.all([...unused].map((session) => session.end(leftMs())));
    },
  };
}

export function closedError(): Error {
  const problem = "is closed; open it for as long as it is used";
  return waybillError("WAYBILL_CONFIG_INVALID", `The database ${problem}.`, { problems: [{ option: "database", problem }] });
}
