/**
 * Where a process under test dies, or stops, at an event of its own: armed while it runs, by a line on its stdin.
 *
 *     dieAt inbox.committing 3 SIGKILL        at the third such event from now on
 *     clock 3600000                           its wall clock is an hour ahead from now on
 *
 * Events are told synchronously between the steps of an engine, so nothing of the next step has happened.
 */
import { createInterface } from "node:readline";

export interface Failpoint {
  /** Takes the line; false: it is none of these orders. */
  arm(line: string): boolean;
  /** Says that an event happened. Does not return from SIGKILL. */
  pass(name: string): void;
}

export function createFailpoint(): Failpoint {
  let armed: { readonly name: string; left: number; readonly signal: NodeJS.Signals } | null = null;
  return {
    arm(line) {
      const [word, name, nth = "1", signal = "SIGKILL"] = line.split(" ");
      if (word === "clock") return setWallClock(Number(name)), true;
      if (word !== "dieAt" || name === undefined) return false;
      armed = { name, left: Number(nth), signal: signal as NodeJS.Signals };
      return true;
    },
    pass(name) {
      if (armed === null || armed.name !== name) return;
      armed.left -= 1;
      if (armed.left > 0) return;
      const { signal } = armed;
      armed = null;
      process.kill(process.pid, signal);
    },
  };
}

/** Reads lines of stdin without keeping the process alive. */
export function onStdinLine(take: (line: string) => void): void {
  createInterface({ input: process.stdin }).on("line", take);
  (process.stdin as { unref?: () => void }).unref?.();
}

const HostDate = Date;

/** Everything that asks for the wall clock is answered with one that is off by so much. Monotonic time goes on as it was. */
function setWallClock(aheadMs: number): void {
  globalThis.Date = class extends HostDate {
    constructor(...given: readonly unknown[]) {
      super(...((given.length === 0 ? [HostDate.now() + aheadMs] : given) as ConstructorParameters<typeof Date>));
    }
    static override now(): number {
      return HostDate.now() + aheadMs;
    }
  } as unknown as DateConstructor;
}
