import { existsSync } from "node:fs";
import type { Provided } from "./provide-server.ts";
import { runCommand } from "./run-command.ts";
import type { ComposeService } from "./server-kind.ts";

/** An engine that is there answers at once; one that does not answer by then is not worth waiting for. */
const engineDeadlineMs = 2_000;
/** The first time an image is pulled. */
const upDeadlineMs = 300_000;

/** A service of a compose file. It is removed afterwards only if it did not run before. */
export async function composeServer(file: string, service: ComposeService): Promise<Provided> {
  if (!existsSync(file)) return { reason: `there is no ${file} here` };
  const info = await runCommand("docker", ["info"], { deadlineMs: engineDeadlineMs });
  if (info.code !== 0) return { reason: "no docker engine answers" };
  const compose = (deadlineMs: number, ...args: string[]): ReturnType<typeof runCommand> =>
    runCommand("docker", ["compose", "-f", file, ...args], { deadlineMs });

  const before = await compose(10_000, "ps", "--quiet", "--status", "running", service.name);
  const wasRunning = before.code === 0 && before.stdout.trim() !== "";
  const stop = async (): Promise<void> => {
    if (!wasRunning) await compose(60_000, "rm", "--stop", "--force", service.name);
  };
  const up = await compose(upDeadlineMs, "up", "--detach", "--wait", service.name);
  const address = await compose(10_000, "port", service.name, String(service.port));
  const config = await compose(10_000, "config", "--format", "json");
  const failed = [up, address, config].find((result) => result.code !== 0);
  if (failed !== undefined) {
    await stop();
    return { reason: `docker compose failed: ${failed.problem ?? failed.stderr.trim().split("\n").at(-1)}` };
  }
  const { services } = JSON.parse(config.stdout) as { services: Record<string, { environment?: Record<string, string | null> }> };
  return { url: service.url(address.stdout.trim(), services[service.name]?.environment ?? {}), from: "docker compose", stop };
}

/** `scheme://user:password@address/path`, with whatever of these there is. */
export function serviceUrl(parts: {
  readonly scheme: string;
  readonly address: string;
  readonly user?: string | null | undefined;
  readonly password?: string | null | undefined;
  readonly path?: string;
}): string {
  const { scheme, address, user, password, path = "" } = parts;
  const url = new URL(`${scheme}://${address}${path}`);
  url.username = user ?? "";
  url.password = password ?? "";
  return url.href;
}
