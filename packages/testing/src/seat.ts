/**
 * A place for a process that is killed, stopped and started again, many times in a run.
 *
 *     started ──kill──▶ gone ──start──▶ started ──stop(forMs)──▶ frozen ──▶ goes on
 *        └── ends by itself: told, with what it wrote, and started again
 */
import { type Child, type ChildEnd, type ChildEvent, type StartChildOptions, startChild } from "./child.ts";

export interface Seat {
  readonly name: string;
  /** Null while nothing runs here. */
  pid(): number | null;
  /** Does nothing while it runs. */
  start(): Promise<void>;
  /** False: nothing was running. */
  kill(): Promise<boolean>;
  /** SIGTERM, and SIGKILL if that is not enough. Answers the exit code; null: it had to be killed, or was not running. */
  end(deadlineMs: number): Promise<number | null>;
  /** SIGSTOP, and SIGCONT after that. False: it was gone before. */
  stop(forMs: number): Promise<boolean>;
  tell(line: string): void;
  /** What runs here has ended, or nothing ran. False at the deadline. Another start may follow. */
  gone(deadlineMs: number): Promise<boolean>;
  /** Waits for its end, after which it is not started again; false at the deadline. */
  ends(deadlineMs: number): Promise<boolean>;
  /** Kills what runs, for good. */
  close(): Promise<void>;
}

/** What cannot run at all is not started again and again at once. */
const restartAfterMs = 1_000;

/** How a seat's process is started. */
export interface SeatCommand extends Pick<StartChildOptions, "args" | "env" | "nodeArgs"> {
  readonly program: string;
}

export interface SeatOptions {
  readonly name: string;
  /** Asked at each start, which are counted from 1. */
  readonly command: (start: number) => SeatCommand;
  readonly onEvent: (event: ChildEvent) => void;
  /** An end that nobody here brought about and that was meant all the same: it is no crash, and the seat stays empty. Default: none is. */
  readonly isMeant?: (end: ChildEnd) => boolean;
  /** It ended by itself, with this word about how, and what it wrote last. */
  readonly onCrash: (how: string, output: string) => void;
}

interface Running {
  /** null: it is being started. */
  child: Child | null;
  /** We want it to end. */
  isExpected: boolean;
}

export function createSeat({ name, command, onEvent, onCrash, isMeant = () => false }: SeatOptions): Seat {
  let running: Running | null = null;
  let starts = 0;
  let isClosed = false;

  const start = async (): Promise<void> => {
    if (running !== null || isClosed) return;
    const mine: Running = { child: null, isExpected: false };
    running = mine;
    starts += 1;
    const { program, ...how } = command(starts);
    const child = await startChild(program, { ...how, onEvent });
    mine.child = child;
    if (isClosed) {
      mine.isExpected = true;
      child.kill("SIGKILL");
    }
    child.exited
      .then(async ({ code, signal }) => {
        if (running === mine) running = null;
        if (mine.isExpected || isMeant({ code, signal })) return;
        onCrash(`${name} ended by itself, ${signal ?? `exit code ${code}`}`, child.output());
        await new Promise((resolve) => setTimeout(resolve, restartAfterMs));
        await start();
      })
      .catch((error: unknown) => onCrash(`${name} could not be started again`, String(error)));
  };
  const hasGone = (child: Child, deadlineMs: number): Promise<boolean> =>
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
    pid: () => running?.child?.pid ?? null,
    start,
    kill,
    gone: async (deadlineMs) => {
      const child = running?.child;
      return child === null || child === undefined || hasGone(child, deadlineMs);
    },
    async end(deadlineMs) {
      const mine = running;
      if (mine === null || mine.child === null) return null;
      mine.isExpected = true;
      mine.child.kill("SIGCONT");
      mine.child.kill("SIGTERM");
      if (!(await hasGone(mine.child, deadlineMs))) mine.child.kill("SIGKILL");
      return (await mine.child.exited).code;
    },
    async stop(forMs) {
      const mine = running;
      if (mine === null || mine.child === null) return false;
      mine.child.kill("SIGSTOP");
      const isGone = await hasGone(mine.child, forMs);
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
      return hasGone(mine.child, deadlineMs);
    },
    async close() {
      isClosed = true;
      await kill();
    },
  };
}
