/**
 * A process of the demo that can be killed and started again.
 *
 * What it writes to stderr is kept, the last of it, for the error message of a process that ends by itself.
 */
import { type ChildProcess, spawn } from "node:child_process";

export interface ChildOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface Child {
  readonly name: string;
  /** Starts it, or starts it again after a kill. */
  start(): void;
  /** kill -9, and waits until it is gone. False: it was not running. */
  kill(): Promise<boolean>;
  /** SIGTERM, then after the deadline SIGKILL. Answers its exit code, null if it had to be killed. */
  stop(deadlineMs: number): Promise<number | null>;
  /** What it wrote last. */
  output(): string;
}

const outputLength = 20_000;

/** `onExit` is told when the process ends by itself: nobody killed or stopped it. */
export function createChild(options: ChildOptions, onExit: (code: number | null) => void): Child {
  let running: { readonly process: ChildProcess; readonly gone: Promise<number | null>; isExpected: boolean } | null = null;
  let output = "";

  const send = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (running === null) return null;
    running.isExpected = true;
    running.process.kill(signal);
    return await running.gone;
  };

  return {
    name: options.name,
    start() {
      const child = spawn(process.execPath, options.args, {
        env: { ...inherited(), ...options.environment },
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-outputLength);
      });
      const gone = new Promise<number | null>((resolve) => {
        child.once("error", () => resolve(null));
        child.once("exit", (code) => resolve(code));
      });
      const mine = { process: child, gone, isExpected: false };
      running = mine;
      gone
        .then((code) => {
          if (running === mine) running = null;
          if (!mine.isExpected) onExit(code);
        })
        .catch(() => undefined);
    },
    async kill() {
      if (running === null) return false;
      await send("SIGKILL");
      return true;
    },
    async stop(deadlineMs) {
      const timer = setTimeout(() => running?.process.kill("SIGKILL"), deadlineMs);
      const code = await send("SIGTERM");
      clearTimeout(timer);
      return code;
    },
    output: () => output,
  };
}

/** Enough to run node; nothing of our own environment that would configure the processes. */
function inherited(): Record<string, string> {
  const names = ["PATH", "SystemRoot", "TMPDIR", "TEMP", "NODE_OPTIONS"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}
