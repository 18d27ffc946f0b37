/**
 * A child process that is a server: watched, heard, and not left behind.
 *
 * It gets a session of its own, so that Ctrl-C in a terminal reaches us alone and we decide when it stops. It dies with us all the
 * same: by the kernel's parent-death signal where `setpriv` can ask for it (even if we are killed with -9), else when we exit.
 */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import type { Socket } from "node:net";
import { dyingWithUs } from "./death-signal.ts";

export interface ServerProcess {
  readonly pid: number;
  /** The end of what it wrote, to stdout or stderr, for error messages. */
  output(): string;
  hasExited(): boolean;
  /** Resolves when it is gone; never rejects. */
  readonly exited: Promise<void>;
  /** Resolves true when it is gone, false when `deadlineMs` passed first. */
  exitsWithin(deadlineMs: number): Promise<boolean>;
}

export interface ServerProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Removed when this process exits without having stopped the server. */
  readonly folder: string;
}

const outputMax = 8_192;

/** Starts a server process. Rejects only if the program cannot be executed at all. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { command, args, folder, ...spawnOptions } = options;
  const bound = await dyingWithUs(command, args);
  const child = spawn(bound.command, bound.args, {
    ...spawnOptions,
    detached: bound.isCertain,
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.on("error", () => undefined); // a signal that could not be sent; whoever sends one watches `exited`
  let output = "";
  let isOver = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-outputMax);
    });
    (stream as Socket).unref();
  }
  // Neither the process nor its pipes keep us alive: a program that forgets to stop a server still ends, and takes it along.
  child.unref();
  const atExit = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once("exit", atExit);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      isOver = true;
      process.removeListener("exit", atExit);
      resolve();
    });
  });
  return {
    pid: child.pid as number,
    output: () => output.trim(),
    hasExited: () => isOver,
    exited,
    async exitsWithin(deadlineMs) {
      let deadline: NodeJS.Timeout | undefined;
      // The timer also keeps us alive while we wait for a process that does not.
      const late = new Promise<false>((resolve) => {
        deadline = setTimeout(() => resolve(false), deadlineMs);
      });
      const isGone = await Promise.race([exited.then(() => true), late]);
      clearTimeout(deadline);
      return isGone;
    },
  };
}
