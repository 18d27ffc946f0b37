/**
 * A MariaDB of one's own: of the installed programs, or of another Debian suite's package in the cache.
 *
 * Its data folder is made from the SQL files that come with it, because the script that usually does so looks for the programs of the
 * installed version only.
 */
import { access, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { debRoot, throughLoader } from "./deb-root.ts";
import { findProgram } from "./find-program.ts";
import { launchServer } from "./launch-server.ts";
import { mysqlGreeting, shortVersion } from "./mysql-greeting.ts";
import { runCommand } from "./run-command.ts";
import { type ServerAccount, serverAccount } from "./server-account.ts";
import { giveFolder, makeServerFolder, rootFolder } from "./server-folder.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartMariadbOptions {
  /** A Debian suite to take it from, such as `sid`, unpacked into the cache. Default: the installed one. */
  readonly suite?: string;
  /** System variables beside ours, such as `{ innodb_autoinc_lock_mode: "2" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one below 32768. */
  readonly port?: number;
  /** Milliseconds for each start, recovery after a kill included. The first download does not count. Default 60 000. */
  readonly startDeadlineMs?: number;
}

/** Small, on the loopback only. Whatever decides durability and isolation stays as MariaDB ships it. */
const ownSettings: Readonly<Record<string, string>> = {
  bind_address: "127.0.0.1",
  innodb_buffer_pool_size: "64M",
  innodb_log_file_size: "32M",
  max_connections: "200",
};

const host = "127.0.0.1";
const bootstrapDeadlineMs = 120_000;

/** Where its programs lie, and how they are started. */
interface MariadbPrograms {
  readonly command: string;
  readonly args: readonly string[];
  /** The folder above `share`. */
  readonly base: string;
}

/**
 * Starts a MariaDB with the user `root` and no password. As root it runs as `nobody`. It ends when this process does, but `stop` also
 * removes its folder for certain.
 *
 * Rejects with what the server wrote if it does not come up in time, and leaves nothing behind but the cache.
 */
export function startMariadb(options: StartMariadbOptions = {}): Promise<StartedServer> {
  return launchMariadb(options, {
    settings: () => ({}),
    isReady: async (port) => (await mysqlGreeting({ host, port })).kind === "mariadb",
  });
}

/** What a server that is part of something larger does differently. */
export interface MariadbPart {
  /** Asked at each start, before what the caller sets. */
  settings(): Readonly<Record<string, string>>;
  isReady(port: number): Promise<boolean>;
}

/** As `startMariadb`; a cluster's nodes are started by it, too. */
export async function launchMariadb(options: StartMariadbOptions, part: MariadbPart): Promise<StartedServer> {
  const programs = options.suite === undefined ? await installedPrograms() : await programsOf(options.suite);
  const account = serverAccount();
  const folder = await makeServerFolder("mariadb", account);
  try {
    const share = await shareFolder(programs.base);
    const env = { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH };
    const version = await mariadbVersion(programs, env);
    const common = [
      ...programs.args,
      "--no-defaults", // must come first: no my.cnf of this machine is read
      `--basedir=${programs.base}`,
      `--datadir=${join(folder, "data")}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, "charsets")}`,
      `--pid-file=${join(folder, "pid")}`,
      `--socket=${join(folder, "socket")}`,
      `--tmpdir=${folder}`,
    ];
    await makeData({ command: programs.command, args: [...common, "--bootstrap", "--silent-startup"], env, share, folder, account });
    const settings = (): readonly string[] =>
      Object.entries({ ...ownSettings, ...part.settings(), ...options.settings }).map(([name, value]) => `--${name}=${value}`);
    return await launchServer({
      title: "MariaDB",
      version: () => version,
      folder,
      account,
      port: options.port,
      startDeadlineMs: options.startDeadlineMs ?? 60_000,
      program: (port) => ({ command: programs.command, args: [...common, `--port=${port}`, ...settings()], env }),
      isReady: part.isReady,
      // The killed one's locks on its files live until the kernel has taken it apart.
      waitsForPredecessor: (output) => /Can't lock aria control file|Unable to lock|already in use/.test(output),
      endSignals: ["SIGTERM", "SIGKILL"],
      url: (port) => `mysql://root@${host}:${port}`,
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function installedPrograms(): Promise<MariadbPrograms> {
  const program = await findProgram("mariadbd");
  if (program === null) throw new Error("there is no mariadbd: install mariadb-server");
  return { command: program, args: [], base: dirname(dirname(program)) };
}

async function programsOf(suite: string): Promise<MariadbPrograms> {
  const { folder } = await debRoot({ suite, packages: ["mariadb-server-core"] });
  return { ...throughLoader(folder, "usr/sbin/mariadbd"), base: join(folder, "usr") };
}

/** Newer versions name it after themselves. */
async function shareFolder(base: string): Promise<string> {
  for (const name of ["mariadb", "mysql"]) {
    const share = join(base, "share", name);
    const hasTables = await access(join(share, "fill_help_tables.sql")).then(
      () => true,
      () => false,
    );
    if (hasTables) return share;
  }
  throw new Error(`there are no SQL files of MariaDB below ${join(base, "share")}`);
}

async function mariadbVersion(programs: MariadbPrograms, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const answer = await runCommand(programs.command, [...programs.args, "--version"], { env, deadlineMs: 10_000 });
  const version = /Ver (\S+)/.exec(answer.stdout)?.[1];
  if (answer.code === 0 && version !== undefined) return shortVersion(version);
  throw new Error(`mariadbd does not run here: ${(answer.problem ?? answer.stderr.trim().slice(-400)) || `exit code ${answer.code}`}`);
}

interface DataFolder {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly share: string;
  readonly folder: string;
  readonly account: ServerAccount;
}

/** System tables, and the user root who needs no password from this host. */
async function makeData({ command, args, env, share, folder, account }: DataFolder): Promise<void> {
  const data = join(folder, "data");
  await mkdir(join(data, "mysql"), { recursive: true });
  await giveFolder(data, account);
  const files = await readdir(share);
  // `mysql_…` in older versions, `mariadb_…` in newer ones.
  const named = (name: string): string => files.find((file) => file === `mariadb_${name}`) ?? `mysql_${name}`;
  const scripts = [
    named("system_tables.sql"),
    named("performance_tables.sql"),
    named("system_tables_data.sql"),
    "fill_help_tables.sql",
    named("sys_schema.sql"),
  ];
  const contents = await Promise.all(scripts.map((script) => readFile(join(share, script), "utf8")));
  const input = ["use mysql;", "set @auth_root_socket = null;", ...contents].join("\n");
  const made = await runCommand(command, args, { ...account, cwd: rootFolder(), env, input, deadlineMs: bootstrapDeadlineMs });
  if (made.code === 0) return;
  throw new Error(`MariaDB made no data folder: ${(made.problem ?? made.stderr.slice(-2_000).trim()) || `exit code ${made.code}`}`);
}
