/**
 * Runs a server whose data is ready: the part of a launcher that is the same for every server.
 *
 *     process ──isReady──▶ running ──kill──▶ gone ──restart──▶ running ──stop──▶ folder removed
 *
 * What a crash means: `kill("SIGKILL")` ends the process at once, but what it held may live a moment longer – a lock file, shared
 * memory, a port. A restart that comes too early is refused for it, and is tried again until the deadline.
 */
import { rm } from "node:fs/promises";
import { freePort } from "./free-port.ts";
import { isListening } from "./is-listening.ts";
import type { ServerAccount } from "./server-account.ts";
import { rootFolder } from "./server-folder.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import type { StartedServer } from "./started-server.ts";

export interface ServerLaunch {
  /** For messages: `PostgreSQL`. */
  readonly title: string;
  /** Asked when it is ready. */
  readonly version: () => string;
  /** Belongs to the server alone; `stop` removes it. */
  readonly folder: string;
  readonly account: ServerAccount;
  /** Undefined: a free one below 32768. A port that the caller chose is tried once. */
  readonly port: number | undefined;
  /** Milliseconds for each start, recovery after a kill included. */
  readonly startDeadlineMs: number;
  /** What runs on a port. */
  readonly program: (port: number) => {
    readonly command: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string | undefined>>;
  };
  /** Whether the server on that port takes clients now. */
  readonly isReady: (port: number) => Promise<boolean>;
  /** Whether what an ended process wrote complains about the one before it only. */
  readonly waitsForPredecessor?: (output: string) => boolean;
  /** How it is asked to end, one after the other: politely first, SIGKILL last. */
  readonly endSignals: readonly NodeJS.Signals[];
  /** True if a polite end is a waste of time when the data goes anyway: `stop` then kills. */
  readonly stopsByForce?: boolean;
  readonly url: (port: number) => string;
}

const host = "127.0.0.1";
const pollMs = 10;
const portTriesMax = 5;
const stopDeadlineMs = 10_000;
/** These do not end a process, so nobody waits for its end. */
const harmless: ReadonlySet<string> = new Set(["SIGSTOP", "SIGCONT", "SIGHUP"]);

/** Starts the server and waits until it is ready. Rejects with what it wrote if it does not come up in time; its folder stays then. */
export async function launchServer(launch: ServerLaunch): Promise<StartedServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = launch.port ?? (await freePort());
    try {
      return handleOf(launch, port, await bringUp(launch, port));
    } catch (error) {
      // The race for a free port is lost a few times at most.
      if (launch.port !== undefined || attempt === portTriesMax || !(await isListening(port))) throw error;
    }
  }
}

async function bringUp(launch: ServerLaunch, port: number): Promise<ServerProcess> {
  const startedAt = performance.now();
  const leftMs = (): number => launch.startDeadlineMs - (performance.now() - startedAt);
  for (;;) {
    const server = await startServerProcess({
      ...launch.program(port),
      ...launch.account,
      cwd: rootFolder(),
      folder: launch.folder,
    });
    while (!server.hasExited() && leftMs() > 0) {
      if ((await launch.isReady(port)) && !server.hasExited()) return server;
      await server.exitsWithin(pollMs);
    }
    const output = server.output();
    if (!server.hasExited()) {
      process.kill(server.pid, "SIGKILL");
      await server.exitsWithin(stopDeadlineMs);
      throw new Error(`${launch.title} on port ${port} was not ready within ${launch.startDeadlineMs} ms. It wrote:\n${output}`);
    }
    const waitsForPredecessor = launch.waitsForPredecessor?.(output) ?? false;
    if (!waitsForPredecessor || leftMs() <= 0) throw new Error(`${launch.title} on port ${port} did not start. It wrote:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 5 * pollMs));
  }
}

function handleOf(launch: ServerLaunch, port: number, first: ServerProcess): StartedServer {
  let server = first;
  let stopped: Promise<void> | null = null;

  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(server.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it went by itself in between
    }
  };
  const end = async (signals: readonly NodeJS.Signals[]): Promise<void> => {
    for (const signal of signals) {
      if (server.hasExited()) return;
      send("SIGCONT"); // one that was stopped cannot hear anything else
      send(signal);
      if (await server.exitsWithin(stopDeadlineMs)) return;
    }
    throw new Error(`${launch.title} (pid ${server.pid}) does not end.`);
  };

  return {
    url: launch.url(port),
    host,
    port,
    version: launch.version(),
    pid: () => (server.hasExited() ? null : server.pid),
    async kill(signal) {
      if (server.hasExited()) return;
      send(signal);
      if (harmless.has(signal)) return;
      if (!(await server.exitsWithin(3 * stopDeadlineMs)))
        throw new Error(`${launch.title} (pid ${server.pid}) does not end on ${signal}.`);
    },
    async restart() {
      if (stopped !== null) throw new Error(`A stopped ${launch.title} cannot be started again: its data is gone.`);
      await end(launch.endSignals);
      server = await bringUp(launch, port);
    },
    stop() {
      stopped ??= end(launch.stopsByForce === true ? ["SIGKILL"] : launch.endSignals).then(() =>
        rm(launch.folder, { recursive: true, force: true, maxRetries: 5 }),
      );
      return stopped;
    },
  };
}
