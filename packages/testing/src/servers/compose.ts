import { existsSync } from "node:fs";
import type { Provided } from "./provide-postgres.ts";
import { runCommand } from "./run-command.ts";

/** An engine that is there answers at once; one that does not answer by then is not worth waiting for. */
const engineDeadlineMs = 2_000;
/** The first time an image is pulled. */
const upDeadlineMs = 300_000;

/** The service `postgres` of a compose file. It is removed afterwards only if it did not run before. */
export async function composePostgres(file: string): Promise<Provided> {
  if (!existsSync(file)) return { reason: `there is no ${file} here` };
  const info = await runCommand("docker", ["info"], { deadlineMs: engineDeadlineMs });
  if (info.code !== 0) return { reason: "no docker engine answers" };
  const compose = (deadlineMs: number, ...args: string[]): ReturnType<typeof runCommand> =>
    runCommand("docker", ["compose", "-f", file, ...args], { deadlineMs });

  const before = await compose(10_000, "ps", "--quiet", "--status", "running", "postgres");
  const wasRunning = before.code === 0 && before.stdout.trim() !== "";
  const stop = async (): Promise<void> => {
    if (!wasRunning) await compose(60_000, "rm", "--stop", "--force", "postgres");
  };
  const up = await compose(upDeadlineMs, "up", "--detach", "--wait", "postgres");
  const address = await compose(10_000, "port", "postgres", "5432");
  const config = await compose(10_000, "config", "--format", "json");
  const failed = [up, address, config].find((result) => result.code !== 0);
  if (failed !== undefined) {
    await stop();
    return { reason: `docker compose failed: ${failed.problem ?? failed.stderr.trim().split("\n").at(-1)}` };
  }
  const { services } = JSON.parse(config.stdout) as { services: { postgres?: { environment?: Record<string, string | null> } } };
  const { POSTGRES_USER: user, POSTGRES_PASSWORD: password } = services.postgres?.environment ?? {};
  const url = new URL(`postgres://${address.stdout.trim()}/postgres`);
  url.username = user ?? "postgres";
  url.password = password ?? "";
  return { url: url.href, from: "docker compose", stop };
}
