/**
 * Some of the writers, in a process of their own that may be killed or stopped at any instruction. One argument: `WriterProgramOptions` as JSON. On
 * stdin: `rollBackMany <rows>`, and `stop`, after which what is open ends and the process, too. It tells which shapes it has completed.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { systemClock, wait } from "@waybill/core";
import { connectSession, type Session, seededRandom } from "@waybill/testing";
import { openNotebook } from "./notebook.ts";
import { anyShape, rollBackMany } from "./shapes.ts";

export interface WriterProgramOptions {
  readonly url: string;
  /** Belongs to this process alone. */
  readonly journal: string;
  readonly seed: number;
  readonly connections: number;
  /** Transactions a second of each connection, if the machine lets it. */
  readonly perSecond: number;
  readonly preparedPrefix: string | null;
}

/** Beyond every pause of a shape and every wait for a lock; a transaction that takes longer loses its connection. */
const shapeDeadlineMs = 45_000;
const tellEveryMs = 1_000;

const options = JSON.parse(process.argv[2] ?? "{}") as WriterProgramOptions;
const notebook = openNotebook(options.journal);
const stopping = new AbortController();
const done = new Map<string, number>();
const tasks: number[] = [];

createInterface({ input: process.stdin }).on("line", (line) => {
  const [word, value] = line.split(" ");
  if (word === "rollBackMany") tasks.push(Number(value));
  else stopping.abort();
});

const pause = async (ms: number): Promise<void> => void (await wait(systemClock, ms, stopping.signal));

const note = (name: string): void => {
  done.set(name, (done.get(name) ?? 0) + 1);
};

const tellDone = (): void => {
  if (done.size === 0) return;
  writeSync(1, `${JSON.stringify({ name: "done", shapes: Object.fromEntries(done) })}\n`);
  done.clear();
};

async function write(connection: number): Promise<void> {
  const random = seededRandom(options.seed * 31 + connection);
  let session: Session | null = null;
  const drop = (): void => {
    session?.cut();
    session = null;
  };
  while (!stopping.signal.aborted) {
    const startedMs = performance.now();
    const rows = tasks.shift();
    const shape = anyShape(random);
    const deadline = setTimeout(drop, shapeDeadlineMs);
    try {
      session ??= await connectSession(options.url);
      const desk = { session, notebook, random, pause, preparedPrefix: options.preparedPrefix };
      if (rows === undefined) await shape.run(desk);
      else await rollBackMany(desk, rows);
      note(rows === undefined ? shape.name : "rollBackMany");
      if (shape.name === "killedClient" || shape.name === "unheardCommit") drop();
    } catch (error) {
      // The server is down, or restarts, or chose us in a deadlock. A mistake of ours shows as a shape that is never done, and says so.
      const { code, message } = error as { readonly code?: string; readonly message: string };
      note(`failed: ${code ?? message.slice(0, 80)}`);
      drop();
      await pause(200);
    } finally {
      clearTimeout(deadline);
    }
    await pause(1_000 / options.perSecond - (performance.now() - startedMs));
  }
  await (session as Session | null)?.end().catch(() => undefined);
}

const ticker = setInterval(tellDone, tellEveryMs);
await Promise.all(Array.from({ length: options.connections }, (_, connection) => write(connection)));
clearInterval(ticker);
tellDone();
notebook.close();
process.stdin.destroy();
