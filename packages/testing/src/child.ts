/**
 * A Node program as a child: for crash tests, which kill it, and for the demo. It tells what it does in JSON lines on stdout.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { dyingWithUs } from "./servers/death-signal.ts";

/** One JSON object that the child wrote as a line; bigints arrive as text. */
export type ChildEvent = Readonly<Record<string, unknown>>;

export interface StartChildOptions {
  readonly args?: readonly string[];
  /** Added to our own environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Options for node itself, such as `--max-old-space-size=64`. */
  readonly nodeArgs?: readonly string[];
  /** Told each event as it arrives. */
  readonly onEvent?: (event: ChildEvent) => void;
}

/** How a child ended: by a code of its own, or by a signal. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  /** Everything it has told so far. */
  readonly events: readonly ChildEvent[];
  /** What it wrote that was no JSON object, and the end of its stderr: for error messages. */
  output(): string;
  /**
   * The first event that fits, among those told already (from number `from` on, default 0) and those to come.
   * Rejects at the deadline (default 10 000 ms), or when the child ends without having told it, with what it wrote.
   */
  waitFor(predicate: (event: ChildEvent) => boolean, options?: WaitForEventOptions): Promise<ChildEvent>;
  /** Writes a line to its stdin. */
  tell(line: string): void;
  /** Sends a signal; nothing happens if it is gone. Await `exited` for its end. */
  kill(signal?: NodeJS.Signals): void;
  /** How it ended, once all it wrote has been read. Never rejects. */
  readonly exited: Promise<ChildEnd>;
}

export interface WaitForEventOptions {
  readonly deadlineMs?: number;
  readonly from?: number;
  /** What is waited for, for the error. */
  readonly what?: string;
}

const outputMax = 16_384;

/**
 * Starts `modulePath` (a path or file URL) with this Node. The child does not outlive us: the kernel kills it where `setpriv` can ask
 * for that, and its stdin ends everywhere.
 */
export async function startChild(modulePath: string | URL, options: StartChildOptions = {}): Promise<Child> {
  const path = modulePath instanceof URL ? fileURLToPath(modulePath) : modulePath;
  const bound = await dyingWithUs(process.execPath, [...(options.nodeArgs ?? []), path, ...(options.args ?? [])]);
  const child = spawn(bound.command, bound.args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    windowsHide: true,
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.on("error", () => undefined); // a signal that came too late
  child.stdin.on("error", () => undefined); // it stopped reading; its end tells why

  const events: ChildEvent[] = [];
  const watchers = new Set<() => void>();
  let output = "";
  let end: ChildEnd | null = null;
  const keep = (text: string): void => {
    output = (output + text).slice(-outputMax);
  };
  child.stderr.setEncoding("utf8").on("data", keep);
  createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
    const event = eventOf(line);
    if (event === null) return keep(`${line}\n`);
    events.push(event);
    options.onEvent?.(event);
    for (const watch of watchers) watch();
  });
  const atExit = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", atExit);
  const exited = new Promise<ChildEnd>((resolve) => {
    child.once("close", (code, signal) => {
      process.removeListener("exit", atExit);
      end = { code, signal };
      resolve(end);
      for (const watch of watchers) watch();
    });
  });

  return {
    pid: child.pid as number,
    events,
    output: () => output.trim(),
    waitFor(predicate, { deadlineMs = 30_000, from = 0, what = "the event" } = {}) {
      return new Promise((resolve, reject) => {
        let looked = from;
        const finish = (settle: () => void): void => {
          clearTimeout(deadline);
          watchers.delete(look);
          settle();
        };
        const look = (): void => {
          for (; looked < events.length; looked += 1) {
            const event = events[looked] as ChildEvent;
            if (predicate(event)) return finish(() => resolve(event));
          }
          if (end === null) return;
          const how = end.signal === null ? `with code ${end.code}` : `by ${end.signal}`;
          finish(() => reject(new Error(`The child ended ${how} before ${what}. It wrote:\n${output.trim()}`)));
        };
        const deadline = setTimeout(() => {
          finish(() => reject(new Error(`The child did not tell ${what} within ${deadlineMs} ms. It wrote:\n${output.trim()}`)));
        }, deadlineMs);
        watchers.add(look);
        look();
      });
    },
    tell(line) {
      child.stdin.write(`${line}\n`);
    },
    kill(signal = "SIGKILL") {
      child.kill(signal);
    },
    exited,
  };
}

function eventOf(line: string): ChildEvent | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line) as ChildEvent;
  } catch {
    return null; // no event: a line that merely looks like one, or one that a kill cut short
  }
}
