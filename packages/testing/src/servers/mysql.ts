/**
 * A MySQL of one's own. Its makers ship no small binary package and Debian has it in sid only, so it is unpacked from there into the
 * cache – about 60 MB once – and started through its own libraries. Whatever version sid has is what we get.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { debRoot, throughLoader } from "./deb-root.ts";
import { launchServer } from "./launch-server.ts";
import { mysqlGreeting } from "./mysql-greeting.ts";
import { runCommand } from "./run-command.ts";
import { serverAccount } from "./server-account.ts";
import { makeServerFolder, rootFolder } from "./server-folder.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartMysqlOptions {
  /** System variables beside ours, such as `{ binlog_format: "STATEMENT" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one below 32768. */
  readonly port?: number;
  /** Milliseconds for each start, recovery after a kill included. The first download does not count. Default 120 000. */
  readonly startDeadlineMs?: number;
}

/** Half the memory of the defaults, on the loopback only. Whatever decides durability and isolation stays as MySQL ships it. */
const ownSettings: Readonly<Record<string, string>> = {
  bind_address: "127.0.0.1",
  mysqlx: "OFF",
  innodb_buffer_pool_size: "64M",
  innodb_log_buffer_size: "4M",
  innodb_redo_log_capacity: "64M",
  max_connections: "200",
  table_definition_cache: "400",
  table_open_cache: "400",
};

const host = "127.0.0.1";
const initialiseDeadlineMs = 120_000;
/** Where Debian puts libraries that only MySQL uses. */
const privateLibraries = "usr/lib/mysql/private";

/**
 * Starts a MySQL with the user `root` and no password. Needs Debian's apt, dpkg and its keyring for the first start. As root it runs
 * as `nobody`. It ends when this process does, but `stop` also removes its folder for certain.
 *
 * Rejects with what the server wrote if it does not come up in time, and leaves nothing behind but the cache.
 */
export async function startMysql(options: StartMysqlOptions = {}): Promise<StartedServer> {
  const { folder: root, version } = await debRoot({ suite: "sid", packages: ["mysql-server-core"] });
  const account = serverAccount();
  const folder = await makeServerFolder("mysql", account);
  try {
    const mysqld = throughLoader(root, "usr/sbin/mysqld", [privateLibraries]);
    const env = { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH, ICU_DATA: join(root, privateLibraries) };
    const common = [
      ...mysqld.args,
      "--no-defaults", // must come first: no my.cnf of this machine is read
      `--basedir=${join(root, "usr")}`,
      `--datadir=${join(folder, "data")}`,
      `--lc-messages-dir=${join(root, "usr/share/mysql")}`,
      `--character-sets-dir=${join(root, "usr/share/mysql/charsets")}`,
      `--plugin-dir=${join(root, "usr/lib/mysql/plugin")}`,
      `--pid-file=${join(folder, "pid")}`,
      `--socket=${join(folder, "socket")}`,
      `--tmpdir=${folder}`,
      "--secure-file-priv=",
    ];
    const made = await runCommand(mysqld.command, [...common, "--initialize-insecure"], {
      ...account,
      cwd: rootFolder(),
      env,
      deadlineMs: initialiseDeadlineMs,
    });
    if (made.code !== 0)
      throw new Error(
        `MySQL ${version} made no data folder: ${(made.problem ?? made.stderr.slice(-2_000).trim()) || `exit code ${made.code}`}`,
      );
    const settings = Object.entries({ ...ownSettings, ...options.settings }).map(([name, value]) => `--${name}=${value}`);
    return await launchServer({
      title: "MySQL",
      version: () => version,
      folder,
      account,
      port: options.port,
      startDeadlineMs: options.startDeadlineMs ?? 120_000,
      program: (port) => ({ command: mysqld.command, args: [...common, `--port=${port}`, ...settings], env }),
      isReady: async (port) => (await mysqlGreeting({ host, port })).kind === "mysql",
      // The killed one's locks on its files live until the kernel has taken it apart.
      waitsForPredecessor: (output) => /Unable to lock|Another process with pid|already in use/.test(output),
      endSignals: ["SIGTERM", "SIGKILL"],
      url: (port) => `mysql://root@${host}:${port}`,
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
