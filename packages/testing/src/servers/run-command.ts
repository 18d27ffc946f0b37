import { spawn } from "node:child_process";

export interface CommandOptions {
  readonly deadlineMs: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly uid?: number;
  readonly gid?: number;
  /** What it reads from its standard input. Default: nothing. */
  readonly input?: string;
}

/** `code` null: it could not be started, was killed by a signal, or ran past its deadline; `problem` then says which. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why `code` is null; `EACCES`, `ENOENT` and the like stand in `errno`. */
  readonly problem: string | null;
  readonly errno: string | null;
}

/** Runs a command to its end, or kills it at the deadline. Never rejects: what happened is in the result. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve) => {
    const { deadlineMs, input, ...spawnOptions } = options;
    let stdout = "";
    let stderr = "";
    let isLate = false;
    const child = spawn(command, args, { ...spawnOptions, stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
    const deadline = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, deadlineMs);
    child.stdin.on("error", () => undefined); // it did not want to read all of it; its exit code tells
    child.stdin.end(input);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(deadline);
      resolve({ code: null, stdout, stderr, problem: error.message, errno: error.code ?? null });
    });
    child.once("close", (code, signal) => {
      clearTimeout(deadline);
      const problem = isLate ? `ran longer than ${deadlineMs} ms` : signal === null ? null : `was ended by ${signal}`;
      resolve({ code: isLate ? null : code, stdout, stderr, problem, errno: null });
    });
  });
}
