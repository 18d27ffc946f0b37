/**
 * What every launched server must do, for the tests of each launcher: be there, survive kill -9 with its data, restart, and leave
 * nothing behind when it stops.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { hasTurn, type StartedServer, startChild, waitUntil } from "../src/index.ts";
import { findProgram } from "../src/servers/find-program.ts";

export interface LaunchedServerOptions {
  /** What `programs/telling.ts` calls it. */
  readonly kind: string;
  /** Why it cannot be had on this machine, or null. */
  readonly missing: string | null;
  readonly start: () => Promise<StartedServer>;
  /** Stores something in the fresh server. */
  readonly write: (url: string) => Promise<void>;
  /** Answers `kept` while what was written is there. */
  readonly read: (url: string) => Promise<unknown>;
  readonly kept: unknown;
  readonly version: RegExp;
}

/** Starts take seconds, more under load; the first one may download. */
export const startMs = 600_000;
const caseMs = 180_000;

const program = fileURLToPath(new URL("../dist-programs/test/programs/telling.js", import.meta.url));

/** Why something cannot be had, or null. With `CI=true` what is not optional must be there. */
export async function whyNot(look: () => Promise<unknown>, isOptional = false): Promise<string | null> {
  try {
    await look();
    return null;
  } catch (error) {
    if (process.env.CI === "true" && !isOptional) throw error;
    return (error as Error).message;
  }
}

/** For `whyNot`: what `startKafka` needs of this machine. */
export async function kafkaProgramsAreThere(): Promise<void> {
  for (const program of ["java", "mvn"])
    if ((await findProgram(program)) === null) throw new Error(`there is no ${program}: install Java 17 and Maven`);
}

/** Defines the cases. In CI half of the launchers have their turn: every server that other tests use is started by one of them anyway. */
export function describeLaunchedServer(title: string, options: LaunchedServerOptions): void {
  if (options.missing !== null) console.warn(`SKIPPED ${title}: ${options.missing}`);
  describe.skipIf(options.missing !== null || !hasTurn(`launched ${title}`, 0, 2))(title, () => {
    let server: StartedServer;
    let folder: string;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "waybill-test-"));
      chmodSync(folder, 0o755);
      vi.stubEnv("TMPDIR", folder);
      server = await options.start();
    }, startMs);
    afterAll(async () => {
      await server?.stop();
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }, caseMs);

    it(
      "answers on a port below 32768 with the version that it says",
      async () => {
        expect(server.port).toBeLessThan(32_768);
        expect(server.version).toMatch(options.version);
        await options.write(server.url);
        expect(await options.read(server.url)).toEqual(options.kept);
      },
      caseMs,
    );

    it(
      "keeps what was stored when it is killed and started again",
      async () => {
        const before = server.pid();
        await server.kill("SIGKILL");
        expect(server.pid()).toBeNull();
        await server.restart();
        expect(server.pid()).not.toBe(before);
        expect(await options.read(server.url)).toEqual(options.kept);
      },
      caseMs,
    );

    it(
      "restarts while it runs, on the same port",
      async () => {
        const before = server.pid();
        await server.restart();
        expect(server.pid()).not.toBe(before);
        expect(await options.read(server.url)).toEqual(options.kept);
      },
      caseMs,
    );

    it(
      "leaves no process and no folder when it stops, and stops once",
      async () => {
        expect(processesOf(folder)).not.toEqual(process.platform === "linux" ? [] : null);
        expect(readdirSync(folder)).not.toEqual([]);
        const first = server.stop();
        expect(server.stop()).toBe(first);
        await first;
        await waitUntil(() => processesOf(folder).length === 0, { what: "every process of the server is gone", deadlineMs: 30_000 });
        expect(readdirSync(folder)).toEqual([]);
        await expect(server.restart()).rejects.toThrow("stopped");
      },
      caseMs,
    );

    it.skipIf(process.platform !== "linux")(
      "ends with the process that started it, even by kill -9",
      async () => {
        const child = await startChild(program, { args: ["server", "stay", options.kind] });
        const started = await child.waitFor(({ name }) => name === "started", { deadlineMs: caseMs });
        const folder = String(started.folder);
        expect(processesOf(folder)).not.toEqual([]);
        child.kill("SIGKILL");
        await child.exited;
        await waitUntil(() => processesOf(folder).length === 0, { what: "every process of the server is gone", deadlineMs: 30_000 });
        rmSync(dirname(folder), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      },
      caseMs,
    );
  });
}

/** Processes that were told of a folder, or have it mounted. Of Linux only. */
function processesOf(folder: string): readonly string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    return (
      ["cmdline", "mountinfo"].some((file) => readOrEmpty(join("/proc", pid, file)).includes(folder)) ||
      ownEnvironment(pid).includes(`=${folder}/`)
    );
  });
}

/** What the launcher said to it, without what it inherited of ours: `TMPDIR` names the folder in every child of this test. */
function ownEnvironment(pid: string): string {
  const variables = readOrEmpty(join("/proc", pid, "environ")).split("\0");
  return variables.filter((variable) => !variable.startsWith("TMPDIR=")).join("\n");
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has ended, or is not ours to look at
  }
}
