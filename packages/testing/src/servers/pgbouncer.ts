/**
 * A PgBouncer of one's own in front of a PostgreSQL, in transaction mode: each transaction, and each statement outside of one, goes to
 * whichever of a few server connections is free. Nothing that belongs to a session outlives a transaction there.
 *
 * The installed program, or Debian's package unpacked into the cache.
 */
import { chownSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { debRoot, throughLoader } from "./deb-root.ts";
import { findProgram } from "./find-program.ts";
import { launchServer } from "./launch-server.ts";
import { postgresGreeting } from "./postgres-greeting.ts";
import { runCommand } from "./run-command.ts";
import { serverAccount } from "./server-account.ts";
import { makeServerFolder, rootFolder } from "./server-folder.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartPgbouncerOptions {
  /** The URL of a PostgreSQL. Its user, host and port are those behind the pooler; its database is the one in the answered `url`, but clients reach any. */
  readonly target: string;
  /** Server connections it keeps for each database and user. Default 4. */
  readonly poolSize?: number;
  /** Settings of `pgbouncer.ini` beside ours, such as `{ query_wait_timeout: "5" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one below 32768. */
  readonly port?: number;
  /** Milliseconds for each start. The first download does not count. Default 30 000. */
  readonly startDeadlineMs?: number;
}

const host = "127.0.0.1";
const suite = "trixie";

/**
 * Starts a PgBouncer that lets in whoever PostgreSQL lets in without a password. As root it runs as `nobody`. It ends when this process
 * does, but `stop` also removes its folder for certain.
 *
 * Rejects with what it wrote if it does not come up in time, and leaves nothing behind but the cache.
 */
export async function startPgbouncer(options: StartPgbouncerOptions): Promise<StartedServer> {
  const { command, args } = await pgbouncerProgram();
  const target = new URL(options.target);
  const user = target.username === "" ? "postgres" : decodeURIComponent(target.username);
  const account = serverAccount();
  const folder = await makeServerFolder("pgbouncer", account);
  try {
    const asked = await runCommand(command, [...args, "--version"], { deadlineMs: 10_000, cwd: rootFolder() });
    const version = /\d+(?:\.\d+)+/.exec(asked.stdout)?.[0] ?? "unknown";
    return await launchServer({
      title: "PgBouncer",
      version: () => version,
      folder,
      account,
      port: options.port,
      startDeadlineMs: options.startDeadlineMs ?? 30_000,
      program(port) {
        // It takes its port from its file only.
        const file = join(folder, "pgbouncer.ini");
        writeFileSync(file, configuration(options, target, port));
        if (account.uid !== undefined) chownSync(file, account.uid, account.gid ?? account.uid);
        return { command, args: [...args, file], env: { LC_ALL: "C", PATH: process.env.PATH } };
      },
      isReady: async (port) => (await postgresGreeting({ host, port, user })) === "welcome",
      endSignals: ["SIGTERM", "SIGKILL"],
      url: (port) => `postgres://${encodeURIComponent(user)}@${host}:${port}${target.pathname === "" ? "/postgres" : target.pathname}`,
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function pgbouncerProgram(): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  const installed = await findProgram("pgbouncer");
  if (installed !== null) return { command: installed, args: [] };
  const { folder } = await debRoot({ suite, packages: ["pgbouncer"] });
  return throughLoader(folder, join("usr", "sbin", "pgbouncer"));
}

function configuration({ poolSize = 4, settings }: StartPgbouncerOptions, target: URL, port: number): string {
  const own = {
    listen_addr: host,
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: "transaction",
    default_pool_size: String(poolSize),
    max_client_conn: "500",
    // It notices a server that came back at once, not after its default of 15 s.
    server_login_retry: "1",
    ...settings,
  };
  const user = target.username === "" ? "postgres" : decodeURIComponent(target.username);
  const server = `* = host=${target.hostname} port=${target.port === "" ? "5432" : target.port} user=${user}`;
  return ["[databases]", server, "[pgbouncer]", ...Object.entries(own).map(([name, value]) => `${name} = ${value}`), ""].join("\n");
}
