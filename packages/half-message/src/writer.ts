/**
 * Joins the writes that wait for a connection into one transaction. No timer: whoever comes while a connection is free goes at once, and whoever comes
 * while all are busy goes with the others that wait.
 *
 *     request ─▶ queue ─▶ a free connection takes up to 100 rows of one kind ─▶ one transaction ─▶ committed: each its answer
 *                  ▲                                                              ├─ the database refused: each by itself, once more
 *                  └── a row appeared between look and insert: once more ◀────────┤
 *                                                                                 └─ unknown, connection lost: nobody can say; each is told so
 *
 * No batch holds a half message twice, and none is in two batches at once: what is wished of one is done in the order in which it was wished. One row's
 * refusal never touches its neighbours, for a batch that the database refuses is rolled back as a whole and then tried row by row.
 */
import { type Clock, isWaybillError, type Timer, waybillError } from "@waybill/core";
import type { OwnedTx, Units } from "@waybill/sql";
import type { DueDestination } from "./delivery-store.ts";
import type { HalfMessageStore, Judged, NewHalfMessage, Prepared, Request } from "./store.ts";
import type { HalfMessageKey } from "./table.ts";

export interface WriterOptions {
  readonly store: Pick<HalfMessageStore, "prepare" | "judge">;
  readonly units: Units;
  /** Transactions at once. */
  readonly connections: number;
  readonly clock: Clock;
  /** Default 10 000: how long a request may wait for its turn, and the rows of a batch that was refused for theirs. */
  readonly waitMsMax?: number;
  /** Told before each transaction how many requests it joins, and after its COMMIT, before they are answered; then also where something is due by it. */
  readonly onWriting?: (kind: "prepare" | "judge", requests: number) => void;
  readonly onWritten?: (kind: "prepare" | "judge", requests: number, due: readonly DueDestination[]) => void;
}

export interface Writer {
  /** Rejects with what the database said; WAYBILL_OUTCOME_UNKNOWN: call again, the id decides. */
  prepare(halfMessage: NewHalfMessage): Promise<Prepared>;
  /** As `prepare`. `before`: what else is to be written in the same transaction, which then is this request's alone. */
  judge(request: Request, before?: (tx: OwnedTx) => Promise<void>): Promise<Judged>;
  /** What comes in this turn of the event loop begins at its end, joined: for many of one call, which would else take all connections with one each. */
  gather(): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

const rowsMax = 100;
const bytesMax = 1_048_576;
/** What waits beyond is refused: nobody is served sooner by waiting in a longer line. */
const waitingMax = 5_000;
const unitDeadlineMs = 10_000;
/** How often a request may find that a row appeared between its look and its insert. */
const triesMax = 5;

interface Job {
  readonly kind: "prepare" | "judge";
  readonly key: string;
  readonly rows: number;
  readonly bytes: number;
  readonly item: NewHalfMessage | Request;
  /** Given: the job has a transaction to itself. */
  readonly before: ((tx: OwnedTx) => Promise<void>) | undefined;
  /** When it has waited for too long, by the monotonic clock. */
  readonly untilMs: number;
  tries: number;
  resolve(answer: Prepared | Judged): void;
  reject(error: Error): void;
}

/** What a transaction came to: an answer for each of its jobs, null: once more. */
interface Written {
  readonly answers: readonly (Prepared | Judged | null)[];
  readonly due: readonly DueDestination[];
}

export function createWriter(options: WriterOptions): Writer {
  const { store, units, connections, clock, waitMsMax = 10_000, onWriting, onWritten } = options;
  const waiting: Job[] = [];
  const busyKeys = new Set<string>();
  const onIdle: (() => void)[] = [];
  let running = 0;
  let timer: Timer | null = null;
  let isGathering = false;

  const enqueue = (job: Job): void => {
    if (waiting.length >= waitingMax) return job.reject(tooMany());
    waiting.push(job);
    pump();
  };

  /** Sends those away who have waited for too long: nothing was done for them. The first in line came first. */
  const expire = (): void => {
    timer = null;
    while (waiting[0] !== undefined && waiting[0].untilMs <= clock.monotonicMs()) waiting.shift()?.reject(tooMany());
    pump();
  };

  const watch = (): void => {
    const [first] = waiting;
    if (first !== undefined) timer ??= clock.setTimer(first.untilMs - clock.monotonicMs(), expire);
    else {
      timer?.cancel();
      timer = null;
    }
  };

  const pump = (): void => {
    while (running < connections && !isGathering) {
      const batch = takeBatch(waiting, busyKeys);
      if (batch.length === 0) break;
      running += 1;
      const ended = (): void => {
        running -= 1;
        for (const { key } of batch) busyKeys.delete(key);
        pump();
      };
      runBatch(batch).then(ended, ended);
    }
    watch();
    if (running === 0 && waiting.length === 0) for (const done of onIdle.splice(0)) done();
  };

  const runBatch = async (batch: readonly Job[], deadlineMs = unitDeadlineMs): Promise<void> => {
    const kind = batch[0]?.kind ?? "judge";
    onWriting?.(kind, batch.length);
    const ended = await attempt(batch, deadlineMs);
    if (ended === "answered") return;
    if (batch.length === 1 || !isRefusal(ended)) for (const job of batch) job.reject(ended);
    else await runRows(batch);
  };

  /** All of them in the time of one: a row that waits for a lock may take all that is left, and those behind it are sent away untried. */
  const runRows = async (batch: readonly Job[]): Promise<void> => {
    const untilMs = clock.monotonicMs() + waitMsMax;
    for (const job of batch) {
      const leftMs = Math.floor(untilMs - clock.monotonicMs());
      if (leftMs > 0) await runBatch([job], Math.min(unitDeadlineMs, leftMs));
      else job.reject(tooMany());
    }
  };

  /** Answers the jobs; or the error that all of them met. */
  const attempt = async (batch: readonly Job[], deadlineMs: number): Promise<"answered" | Error> => {
    const work = (tx: OwnedTx): Promise<Written> => run(tx, batch);
    try {
      // A batch that collides is not repeated as a whole: the next try is row by row.
      const repetitions = batch.length === 1 ? {} : { repetitionsMax: 0 };
      const operation = batch[0]?.kind === "prepare" ? "storing half messages" : "deciding half messages";
      const outcome = await units.unitOfWork(work, { operation, deadlineMs, byIndex: true, ...repetitions });
      switch (outcome.kind) {
        case "committed":
          onWritten?.(batch[0]?.kind ?? "judge", batch.length, outcome.value.due);
          for (const [index, job] of batch.entries()) answer(job, outcome.value.answers[index] ?? null);
          return "answered";
        case "rolledBack":
          return outcome.error;
        case "unknown":
          return waybillError(
            "WAYBILL_OUTCOME_UNKNOWN",
            "Nobody answered the COMMIT: call again with the same id.",
            { operation },
            outcome.error,
          );
      }
    } catch (error) {
      return error instanceof Error ? error : new Error("The database failed with something that is no error.", { cause: error });
    }
  };

  const run = async (tx: OwnedTx, batch: readonly Job[]): Promise<Written> => {
    const [first] = batch;
    await first?.before?.(tx);
    const items = batch.map(({ item }) => item);
    if (first?.kind === "prepare") return { answers: await store.prepare(tx, items as NewHalfMessage[]), due: [] };
    const { judged, due } = await store.judge(tx, items as Request[]);
    return { answers: judged, due };
  };

  const answer = (job: Job, answered: Prepared | Judged | null): void => {
    if (answered !== null) return job.resolve(answered);
    job.tries += 1;
    if (job.tries >= triesMax) return job.reject(tooMany());
    waiting.unshift(job);
  };

  return {
    prepare: (halfMessage) =>
      new Promise((resolve, reject) => {
        const bytes = halfMessage.messages.reduce((sum, { payload }) => sum + payload.length + 1_024, 0);
        const job = { kind: "prepare" as const, key: keyOf(halfMessage), rows: halfMessage.messages.length, bytes, item: halfMessage };
        enqueue({
          ...job,
          before: undefined,
          untilMs: clock.monotonicMs() + waitMsMax,
          tries: 0,
          resolve: resolve as Job["resolve"],
          reject,
        });
      }),
    judge: (request, before) =>
      new Promise((resolve, reject) => {
        const messages = request.body?.messages ?? [];
        const bytes = messages.reduce((sum, { payload }) => sum + payload.length + 1_024, 0);
        const job = { kind: "judge" as const, key: keyOf(request), rows: Math.max(1, messages.length), bytes, item: request };
        enqueue({ ...job, before, untilMs: clock.monotonicMs() + waitMsMax, tries: 0, resolve: resolve as Job["resolve"], reject });
      }),
    gather() {
      if (isGathering) return;
      isGathering = true;
      clock.setTimer(0, () => {
        isGathering = false;
        pump();
      });
    },
    idle: () => (running === 0 && waiting.length === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

/**
 * Takes what goes into one transaction: of the first one's kind, as much as fits, nothing of a half message that is under way or that an earlier one
 * in line is about.
 */
function takeBatch(waiting: Job[], busyKeys: Set<string>): readonly Job[] {
  const batch: Job[] = [];
  const passed = new Set<string>();
  let rows = 0;
  let bytes = 0;
  for (let index = 0; index < waiting.length && rows < rowsMax; ) {
    const job = waiting[index] as Job;
    const [first] = batch;
    const isAlone = first !== undefined && (first.before !== undefined || job.before !== undefined);
    const fits =
      first === undefined || (job.kind === first.kind && !isAlone && rows + job.rows <= rowsMax && bytes + job.bytes <= bytesMax);
    if (!fits || busyKeys.has(job.key) || passed.has(job.key)) {
      passed.add(job.key);
      index += 1;
      continue;
    }
    waiting.splice(index, 1);
    batch.push(job);
    busyKeys.add(job.key);
    rows += job.rows;
    bytes += job.bytes;
  }
  return batch;
}

/** The server refused what was sent, and is well: some of it may be stored by itself. A lost connection or a deadline says nothing of the rows. */
function isRefusal(error: Error): boolean {
  if (isWaybillError(error, "WAYBILL_OUTCOME_UNKNOWN") || isWaybillError(error, "WAYBILL_DEADLINE")) return false;
  return !isWaybillError(error, "WAYBILL_DATABASE") || error.facts.sqlState !== null;
}

function tooMany(): Error {
  const operation = "storing half messages";
  return waybillError("WAYBILL_DEADLINE", "Too many requests wait for the database: call again later.", { operation, deadlineMs: 0 });
}

function keyOf({ producer, id }: HalfMessageKey): string {
  return `${producer}/${id}`;
}
