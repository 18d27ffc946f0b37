/**
 * One request, answered once: what `inbox.once` does.
 *
 *     once ──▶ unit: insert its row ── new ──▶ work ──▶ keep the result ──▶ COMMIT ──▶ the first answer
 *       ▲                │  └─ it is there ──▶ the same request? ── yes ──▶ the first answer, repeated
 *       │                │                          └─ no ──▶ WAYBILL_MESSAGE_ID_REPEATED
 *       └── a moment ◀───┴─ another unit has it ──── `waitMs` have passed ──▶ WAYBILL_IN_PROGRESS
 *
 * Row, effects and result are one commit: a crash before it leaves nothing, and the next one works; a crash after it leaves the answer. A COMMIT without an
 * answer is asked about by id. If nothing is there it may still come: that is for whoever asks again under the same id, whose claim waits for it.
 * In a process one caller for each id looks, a moment at a time, and the others wait for it: they hold no connection.
 */
import { createHash } from "node:crypto";
import { isMessageId, throwConfigProblems, wait, waybillError, withDeadline } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { attemptDeadline, unitMarginMs } from "./attempt-deadline.ts";
import type { Engine } from "./engine.ts";
import type { Answered, RequestOptions, RequestWork } from "./inbox.ts";
import type { MessagePrint } from "./inbox-store.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { keepResult } from "./result-memory.ts";
import type { KeptResult } from "./result-store.ts";

const waitMsDefault = 5_000;
const waitMsMax = 86_400_000;
/** Between two looks at a request that another process has. */
const lookAgainMs = 250;
/** A claim that nobody keeps waiting takes no longer, be the database slow. */
const claimMs = 1_500;

/** @throws as `Inbox.once` */
export async function handleRequest(
  engine: Engine,
  id: string,
  options: RequestOptions,
  work: RequestWork<unknown>,
  life: Lifecycle,
): Promise<Answered<unknown>> {
  const print = printOf(id, options);
  const { waitMs = waitMsDefault } = options;
  const { clock } = engine.settings;
  const startedMs = clock.monotonicMs();
  const leftMs = (): number => waitMs - (clock.monotonicMs() - startedMs);
  // One caller for each id asks the database, whoever else in this process wants to know waits for it: a pool is small, and clients are impatient.
  for (;;) {
    const ahead = engine.requests.get(id);
    if (ahead === undefined) break;
    if (leftMs() <= 0) throw inProgress(id, waitMs - leftMs());
    await withDeadline(clock, leftMs(), ahead);
  }
  const answering = answer(engine, print, work, life, { waitMs, leftMs });
  const forget = (): void => void engine.requests.delete(id);
  engine.requests.set(id, answering.then(forget, forget));
  return answering;
}

/** @throws WAYBILL_CONFIG_INVALID, WAYBILL_MESSAGE_INVALID */
function printOf(id: unknown, { request, waitMs = 0 }: RequestOptions): MessagePrint {
  const isRequest = typeof request === "string" || (request as unknown) instanceof Uint8Array;
  throwConfigProblems("The request", [
    ...(isRequest ? [] : [{ option: "request", problem: "is the body as it arrived, text or bytes: not what a parser made of it" }]),
    ...(Number.isInteger(waitMs) && waitMs >= 0 && waitMs <= waitMsMax
      ? []
      : [{ option: "waitMs", problem: `must be a whole number from 0 to ${waitMsMax}` }]),
  ]);
  if (typeof id === "string" && isMessageId(id)) {
    return { messageId: id, fingerprint: createHash("sha256").update(request).digest("hex").slice(0, 32) };
  }
  const rule = "1 to 255 bytes of text without control characters";
  throw waybillError("WAYBILL_MESSAGE_INVALID", `The id of a request must be ${rule}.`, { field: "id", rule });
}

async function answer(
  engine: Engine,
  print: MessagePrint,
  work: RequestWork<unknown>,
  life: Lifecycle,
  { waitMs, leftMs }: { readonly waitMs: number; leftMs(): number },
): Promise<Answered<unknown>> {
  for (;;) {
    if (life.stop.aborted) {
      throw waybillError("WAYBILL_DEADLINE", "The inbox is closed: it takes no further request.", { operation: "request", deadlineMs: 0 });
    }
    const tried = await tryOnce(engine, print, work, life);
    if (tried !== null) return tried;
    if (leftMs() <= 0) throw inProgress(print.messageId, waitMs - leftMs());
    await wait(engine.settings.clock, lookAgainMs, life.stop);
  }
}

/** null: another unit has the request. */
async function tryOnce(
  engine: Engine,
  print: MessagePrint,
  work: RequestWork<unknown>,
  life: Lifecycle,
): Promise<Answered<unknown> | null> {
  const { clock, database, handlerDeadlineMs } = engine.settings;
  const { messageId } = print;
  const deadline = attemptDeadline(clock, handlerDeadlineMs, life.cut);
  let isClaiming = true;
  let answered: Answered<unknown> | null = null;
  const claim = async (tx: OwnedTx): Promise<"claimed" | KeptResult> => {
    // PostgreSQL bounds the wait for another's row by itself.
    if (tx.dialect === "postgres") return engine.results.claim(tx, print);
    const claiming = await withDeadline(clock, claimMs, engine.results.claim(tx, print));
    if (claiming.kind === "late") throw new ClaimLate("Another unit has the request.");
    return claiming.value;
  };
  const unit = async (tx: OwnedTx): Promise<Answered<unknown>> => {
    isClaiming = true;
    engine.report({ name: "inbox.requestBegun", messageId });
    answered = null;
    const claimed = await claim(tx);
    isClaiming = false;
    if (claimed !== "claimed") {
      answered = { result: resultOf(print, claimed), isRepeated: true };
      return answered;
    }
    engine.report({ name: "inbox.requestClaimed", messageId });
    let returned: unknown;
    await deadline.during(async () => {
      returned = await work(tx, {
        get signal() {
          return deadline.signal;
        },
      });
    });
    return { result: await keepResult(engine, tx, "request", print, returned), isRepeated: false };
  };
  try {
    const outcome = await database.unitOfWork(unit, { operation: "request", deadlineMs: handlerDeadlineMs + unitMarginMs });
    switch (outcome.kind) {
      case "committed":
        engine.report({ name: outcome.value.isRepeated ? "inbox.requestRepeated" : "inbox.requestCommitted", messageId });
        return outcome.value;
      case "rolledBack":
        if (isClaiming && (outcome.error instanceof ClaimLate || engine.results.isBusy(outcome.error))) return null;
        throw outcome.error;
      case "unknown":
        // A repeat has kept nothing: there is nothing to ask about.
        return answered ?? (await askAbout(engine, print, outcome.error));
    }
  } finally {
    deadline.end();
  }
}

/** Nobody answered the COMMIT: if there is a row, it was committed, by us or by who came before us. */
async function askAbout(engine: Engine, print: MessagePrint, cause: Error): Promise<Answered<unknown>> {
  const { messageId } = print;
  engine.report({ name: "inbox.outcomeUnknown", messageId });
  const kept = await readKept(engine, messageId);
  if (kept === undefined) throw unknownOutcome(messageId, cause);
  engine.report({ name: "inbox.requestCommitted", messageId });
  return { result: resultOf(print, kept), isRepeated: false };
}

/** Undefined also if the database does not answer: whatever ended the COMMIT may last, and nothing is known then either. */
async function readKept({ results, settings }: Engine, messageId: string): Promise<KeptResult | undefined> {
  try {
    return (await results.read(settings.database, "request", [messageId])).get(messageId);
  } catch {
    return undefined;
  }
}

function inProgress(messageId: string, waitedMs: number): Error {
  const message = "The same request is being handled and has not ended yet. Ask again later, under the same id.";
  return waybillError("WAYBILL_IN_PROGRESS", message, { messageId, waitedMs: Math.round(waitedMs) });
}

function resultOf({ messageId, fingerprint }: MessagePrint, kept: KeptResult): unknown {
  if (kept.fingerprint !== fingerprint) {
    throw waybillError("WAYBILL_MESSAGE_ID_REPEATED", "Another request was made under this id. Each request needs an id of its own.", {
      messageId,
      isSameContent: false,
    });
  }
  if (kept.json === null) {
    const message = "The request was handled, but its work ended the transaction itself and its answer was not kept. Do not ask again.";
    throw waybillError("WAYBILL_RESULT_LOST", message, { messageId });
  }
  return JSON.parse(kept.json);
}

function unknownOutcome(messageId: string, cause?: Error): Error {
  const message = "Whether the request was handled is not known. Ask again under the same id: then it is, or it is handled.";
  return waybillError("WAYBILL_OUTCOME_UNKNOWN", message, { operation: "request", messageId }, cause);
}

/** Two came in the same moment, and the other has it. */
class ClaimLate extends Error {}
