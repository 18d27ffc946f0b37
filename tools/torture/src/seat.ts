/**
 * A place for a process that is killed, stopped and started again, many times in a run.
 *
 *     started ──kill──▶ gone ──start──▶ started ──stop(forMs)──▶ frozen ──▶ goes on
 *        └── ends by itself: told, with what it wrote, and started again
 */
import { type Child, type ChildEvent, startChild } from "@waybill/testing";

export interface Seat {
  readonly name: string;
  /** Does nothing while it runs. */
  start(): Promise<void>;
  /** False: nothing was running. */
  kill(): Promise<boolean>;
  /** SIGTERM, and SIGKILL if that is not enough. Answers the exit code; null: it had to be killed, or was not running. */
  end(deadlineMs: number): Promise<number | null>;
  /** SIGSTOP, and SIGCONT after that. False: it was gone before. */
  stop(forMs: number): Promise<boolean>;
  tell(line: string): void;
  /** Waits for its end, after which it is not started again; false at the deadline. */
  ends(deadlineMs: number): Promise<boolean>;
  /** Kills what runs, for good. */
  close(): Promise<void>;
}

/** What cannot run at all is not started again and again at once. */
const restartAfterMs = 1_000;

export interface SeatOptions {
  readonly name: string;
  readonly program: string;
  /** Asked at each start. */
  readonly args: (start: number) => object;
  readonly onEvent: (event: ChildEvent) => void;
  /** It ended by itself, with this word about how, and what it wrote last. */
  readonly onCrash: (how: string, output: string) => void;
}

interface Running {
  /** null: it is being started. */
  child: Child | null;
  /** We want it to end. */
  isExpected: boolean;
}

export function createSeat({ name, program, args, onEvent, onCrash }: SeatOptions): Seat {
  let running: Running | null = null;
  let starts = 0;
  let isClosed = false;

  const start = async (): Promise<void> => {
    if (running !== null || isClosed) return;
    const mine: Running = { child: null, isExpected: false };
    running = mine;
    starts += 1;
    const child = await startChild(program, { args: [JSON.stringify(args(starts))], onEvent });
    mine.child = child;
    if (isClosed) {
      mine.isExpected = true;
      child.kill("SIGKILL");
    }
    child.exited
      .then(async ({ code, signal }) => {
        if (running === mine) running = null;
        if (mine.isExpected) return;
        onCrash(`${name} ended by itself, ${signal ?? `exit code ${code}`}`, child.output());
        await new Promise((resolve) => setTimeout(resolve, restartAfterMs));
        await start();
      })
      .catch((error: unknown) => onCrash(`${name} could not be started again`, String(error)));
  };
  const gone = (child: Child, deadlineMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      const deadline = setTimeout(() => resolve(false), deadlineMs);
      child.exited
        .then(() => {
          clearTimeout(deadline);
          resolve(true);
        })
        .catch(() => undefined);
    });

  const kill = async (): Promise<boolean> => {
    const mine = running;
    if (mine === null || mine.child === null) return false;
    mine.isExpected = true;
    mine.child.kill("SIGKILL");
    await mine.child.exited;
    return true;
  };

  return {
    name,
    start,
    kill,
    async end(deadlineMs) {
      const mine = running;
      if (mine === null || mine.child === null) return null;
      mine.isExpected = true;
      mine.child.kill("SIGCONT");
      mine.child.kill("SIGTERM");
      if (!(await gone(mine.child, deadlineMs))) mine.child.kill("SIGKILL");
      return (await mine.child.exited).code;
    },
    async stop(forMs) {
      const mine = running;
      if (mine === null || mine.child === null) return false;
      mine.child.kill("SIGSTOP");
      const isGone = await gone(mine.child, forMs);
      mine.child.kill("SIGCONT");
      return !isGone;
    },
    tell(line) {
      running?.child?.tell(line);
    },
    async ends(deadlineMs) {
      isClosed = true;
      const mine = running;
      if (mine === null || mine.child === null) return true;
      mine.isExpected = true;
      return gone(mine.child, deadlineMs);
    },
    async close() {
      isClosed = true;
      await kill();
    },
  };
}
