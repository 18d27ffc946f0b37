/** The built command, as an operator runs it. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "@waybill/testing";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Our own environment without what would configure the command. */
function environment(given: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !name.startsWith("WAYBILL_"));
  return { ...(Object.fromEntries(kept) as Record<string, string>), NO_COLOR: "1", ...given };
}

/** Runs a command to its end. */
export function waybill(commandLine: readonly string[], given: Readonly<Record<string, string>> = {}, stdin = ""): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...commandLine], { env: environment(given), timeout: 30_000 });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
  });
}

/** Starts a command that goes on until it is stopped; its log lines are the child's events. */
export function startWaybill(commandLine: readonly string[], given: Readonly<Record<string, string>> = {}): Promise<Child> {
  const cleared = Object.fromEntries(Object.keys(process.env).flatMap((name) => (name.startsWith("WAYBILL_") ? [[name, undefined]] : [])));
  return startChild(program, { args: commandLine, env: { ...cleared, ...given } });
}

/** Starts a relay with an admin server on a free port. */
export function startRelay(commandLine: readonly string[], given: Readonly<Record<string, string>> = {}): Promise<Child> {
  return startWaybill(["relay", "--admin", "127.0.0.1:0", ...commandLine], given);
}

export const named =
  (name: string) =>
  (event: Readonly<Record<string, unknown>>): boolean =>
    event["name"] === name;

/** Where a relay's admin server listens. */
export async function adminUrl(relay: Child): Promise<string> {
  const listening = await relay.waitFor(named("cli.adminListening"), { what: "its admin server listens" });
  return String(listening["url"]);
}
