/**
 * All processes of a run: started together, killed one by one, stopped together. One that ends by itself breaks the run.
 */
import { waitUntil } from "@waybill/testing";
import { type Child, createChild } from "./child.ts";

export interface Children {
  /** Makes one; `start` starts it. */
  make(name: string, args: readonly string[], environment: Readonly<Record<string, string>>): Child;
  /** Aborts with the reason when a process ends that nobody killed, or when we are interrupted. */
  readonly broken: AbortSignal;
  /** Starts all and waits until these URLs answer with 200. Rejects with what they wrote if one does not come up; then none runs any more. */
  start(urls: readonly string[]): Promise<void>;
  /** SIGTERM to all, once what was killed last is up again: a signal that comes before its listener ends a process. Answers in words what did not end with 0. */
  stop(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const stopDeadlineMs = 12_000;
const readyDeadlineMs = 60_000;

export function createChildren(interrupted: AbortSignal): Children {
  const all: Child[] = [];
  let readyUrls: readonly string[] = [];
  const ended = new AbortController();
  const broken = AbortSignal.any([ended.signal, interrupted]);
  // However this process ends, it leaves nothing running.
  process.once("exit", () => {
    for (const each of all) each.kill().catch(() => undefined);
  });
  const allReady = async (): Promise<void> => {
    for (const url of readyUrls) {
      await waitUntil(() => isReady(url, broken), { what: `${url} is ready`, deadlineMs: readyDeadlineMs, intervalMs: 25 });
    }
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(all.map((each) => each.kill()));
  };

  return {
    broken,
    make(name, args, environment) {
      const made: Child = createChild({ name, args, environment }, (code) =>
        ended.abort(new Error(`The ${name} ended by itself, exit code ${code}. It wrote:\n${made.output()}`)),
      );
      all.push(made);
      return made;
    },
    async start(urls) {
      readyUrls = urls;
      for (const each of all) each.start();
      try {
        await allReady();
      } catch (error) {
        await close();
        const wrote = all.map((each) => `${each.name} wrote:\n${each.output()}`).join("\n");
        throw new Error(`${error instanceof Error ? error.message : String(error)}\n${wrote}`, { cause: error });
      }
    },
    async stop() {
      await allReady().catch(() => undefined); // what is not up by now shows in the codes
      const codes = await Promise.all(all.map(async (each) => [each.name, await each.stop(stopDeadlineMs)] as const));
      return codes.flatMap(([name, code]) => (code === 0 ? [] : [`the ${name} did not stop cleanly, exit code ${code}`]));
    },
    close,
  };
}

async function isReady(url: string, broken: AbortSignal): Promise<boolean> {
  broken.throwIfAborted();
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}
