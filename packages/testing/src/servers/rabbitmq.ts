/**
 * A RabbitMQ node of one's own: of the installed programs, or of another Debian suite's package in the cache.
 *
 *     epmd of its own ──▶ node: AMQP, management and distribution, each on a port of its own
 *
 * Erlang nodes find each other through epmd; with one of its own a second node on this machine meets no other, and nothing of it is
 * left when both are gone.
 *
 * A node that is killed with SIGKILL comes back on what it had written to disk; epmd lives on meanwhile. Before 4.0 a declaration is
 * written a moment after it was answered: a queue declared just before the kill may be gone, and confirmed messages with it. A test that
 * declares and kills says `ctl("eval", "mnesia:sync_log().")` in between.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { amqpGreeting } from "./amqp-greeting.ts";
import { freePort } from "./free-port.ts";
import { isListening } from "./is-listening.ts";
import { launchServer } from "./launch-server.ts";
import { installedRabbitmq, type RabbitmqPrograms, unpackedRabbitmq } from "./rabbitmq-programs.ts";
import { runCommand } from "./run-command.ts";
import { serverAccount } from "./server-account.ts";
import { giveFolder, makeServerFolder, rootFolder } from "./server-folder.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartRabbitmqOptions {
  /** A Debian suite to take it from, such as `sid`, unpacked into the cache. Default: the installed one. */
  readonly suite?: string;
  /** Lines of `rabbitmq.conf` beside ours, such as `{ "vm_memory_high_watermark.absolute": "200MB" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of AMQP. Default: a free one below 32768. */
  readonly port?: number;
  /** Milliseconds for each start, recovery after a kill included. The first download does not count. Default 120 000. */
  readonly startDeadlineMs?: number;
}

export interface StartedRabbitmq extends StartedServer {
  /** Of the management plugin's HTTP API, with credentials: `http://guest:guest@127.0.0.1:25672`. Stays the same over `restart`. */
  readonly managementUrl: string;
  /** Runs `rabbitmqctl` on this node and answers what it printed; rejects with what it complained about. About a second each. */
  ctl(...args: readonly string[]): Promise<string>;
}

const host = "127.0.0.1";
const portTriesMax = 3;
const epmdDeadlineMs = 30_000;
const ctlDeadlineMs = 60_000;

/**
 * Starts a node with the user `guest`, password `guest`, and the management plugin. As root it runs as `nobody`. It ends when this
 * process does, but `stop` also removes its folder for certain.
 *
 * Rejects with what the node wrote if it does not come up in time, and leaves nothing behind but the cache.
 */
export async function startRabbitmq(options: StartRabbitmqOptions = {}): Promise<StartedRabbitmq> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startNode(options);
    } catch (error) {
      // A node has four ports and says in words only that one of them is taken.
      if (options.port !== undefined || attempt === portTriesMax || !/eaddrinuse|address already in use/i.test(String(error))) throw error;
    }
  }
}

async function startNode(options: StartRabbitmqOptions): Promise<StartedRabbitmq> {
  const account = serverAccount();
  const folder = await makeServerFolder("rabbitmq", account);
  let epmd: ServerProcess | null = null;
  try {
    const programs =
      options.suite === undefined ? await installedRabbitmq(folder, account) : await unpackedRabbitmq(options.suite, folder, account);
    const port = options.port ?? (await freePort());
    const ports = { epmd: await freePort(), distribution: await freePort(), management: await freePort() };
    const env = nodeEnvironment(programs, ports);
    await makeState(folder, { "listeners.tcp.1": `${host}:${port}`, "management.tcp.port": String(ports.management), ...options.settings });
    await giveFolder(folder, account);
    epmd = await startEpmd(programs, ports.epmd, folder);
    let version = "unknown";
    const server = await launchServer({
      title: "RabbitMQ",
      version: () => version,
      folder,
      account: programs.account,
      port,
      startDeadlineMs: options.startDeadlineMs ?? 120_000,
      program: () => ({ ...programs.command("rabbitmq-server", []), env }),
      isReady: async () => {
        const greeting = await amqpGreeting({ host, port });
        if (greeting.kind === "welcome") ({ version } = greeting);
        return greeting.kind === "welcome";
      },
      // epmd forgets a node when its connection closes, which may come a moment after the process is gone.
      waitsForPredecessor: (output) => /already running|name is in use|duplicate_name/i.test(output),
      endSignals: ["SIGTERM", "SIGKILL"],
      stopsByForce: true,
      url: () => `amqp://guest:guest@${host}:${port}`,
    });
    return nodeOf({ server, epmd, programs, env, managementPort: ports.management });
  } catch (error) {
    await endEpmd(epmd);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}

interface Node {
  readonly server: StartedServer;
  readonly epmd: ServerProcess;
  readonly programs: RabbitmqPrograms;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly managementPort: number;
}

function nodeOf({ server, epmd, programs, env, managementPort }: Node): StartedRabbitmq {
  let stopped: Promise<void> | null = null;
  return {
    ...server,
    managementUrl: `http://guest:guest@${host}:${managementPort}`,
    async ctl(...args) {
      const { command, args: all } = programs.command("rabbitmqctl", ["--quiet", ...args]);
      const result = await runCommand(command, all, { ...programs.account, cwd: rootFolder(), env, deadlineMs: ctlDeadlineMs });
      if (result.code === 0) return result.stdout.trim();
      throw new Error(
        `rabbitmqctl ${args[0]} failed: ${(result.problem ?? result.stderr.trim().slice(-2_000)) || `exit code ${result.code}`}`,
      );
    },
    stop() {
      stopped ??= endEpmd(epmd).then(() => server.stop());
      return stopped;
    },
  };
}

async function endEpmd(epmd: ServerProcess | null): Promise<void> {
  if (epmd === null || epmd.hasExited()) return;
  process.kill(epmd.pid, "SIGKILL");
  if (!(await epmd.exitsWithin(epmdDeadlineMs))) throw new Error(`epmd (pid ${epmd.pid}) does not end.`);
}

/** Nothing of our own environment that RabbitMQ or Erlang would read reaches the node. */
function nodeEnvironment(
  { state, path }: RabbitmqPrograms,
  ports: { readonly epmd: number; readonly distribution: number },
): Readonly<Record<string, string | undefined>> {
  return {
    PATH: path,
    HOME: join(state, "home"),
    LANG: "C.UTF-8",
    TZ: "UTC",
    ERL_CRASH_DUMP: join(state, "log", "erl_crash.dump"),
    ERL_EPMD_ADDRESS: host,
    ERL_EPMD_PORT: String(ports.epmd),
    RABBITMQ_CONFIG_FILE: join(state, "rabbitmq.conf"),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(state, "enabled_plugins"),
    RABBITMQ_LOG_BASE: join(state, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_MNESIA_BASE: join(state, "db"),
    RABBITMQ_NODENAME: "waybill@localhost",
    RABBITMQ_PID_FILE: join(state, "pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    // The start script then becomes the node instead of waiting for it, so that signals reach the node itself.
    RUNNING_UNDER_SYSTEMD: "true",
  };
}

async function makeState(folder: string, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const name of ["db", "log", "home", "tmp"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "home", ".erlang.cookie"), "WAYBILLTESTS", { mode: 0o400 });
  await writeFile(join(folder, "enabled_plugins"), "[rabbitmq_management].\n");
  const lines = { "management.tcp.ip": host, "disk_free_limit.absolute": "50MB", ...settings };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(join(folder, "rabbitmq.conf"), text.join(""));
}

async function startEpmd(programs: RabbitmqPrograms, port: number, folder: string): Promise<ServerProcess> {
  const epmd = await startServerProcess({
    ...programs.command("epmd", ["-port", String(port), "-address", host]),
    ...programs.account,
    cwd: rootFolder(),
    env: { PATH: programs.path },
    folder,
  });
  const startedAt = performance.now();
  while (!(await isListening(port))) {
    if (epmd.hasExited()) throw new Error(`epmd on port ${port} did not start. It wrote:\n${epmd.output()}`);
    if (performance.now() - startedAt > epmdDeadlineMs) {
      await endEpmd(epmd);
      throw new Error(`epmd on port ${port} was not ready within ${epmdDeadlineMs} ms.`);
    }
    await epmd.exitsWithin(10);
  }
  return epmd;
}
