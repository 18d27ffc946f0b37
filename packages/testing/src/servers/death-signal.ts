import { runCommand } from "./run-command.ts";

/** How to run a program so that the kernel kills it when this thread ends, even by kill -9. */
export interface DyingWithUs {
  readonly command: string;
  readonly args: readonly string[];
  /** False where nobody can ask the kernel for it: the caller must see to it when we exit. */
  readonly isCertain: boolean;
}

/** Puts `setpriv` (util-linux; BusyBox has another) before a command: it asks for the signal and becomes the program, pid and all. */
export async function dyingWithUs(command: string, args: readonly string[]): Promise<DyingWithUs> {
  const asked = ["--pdeathsig", "KILL"];
  const isCertain = process.platform === "linux" && (await runCommand("setpriv", [...asked, "true"], { deadlineMs: 5_000 })).code === 0;
  return isCertain ? { command: "setpriv", args: [...asked, command, ...args], isCertain } : { command, args, isCertain };
}
