/**
 * What handlers answer, kept with their effects, so that a repeat gets the first answer.
 */
import { encodeJson, waybillError } from "@waybill/core";
import type { OwnedTx, Statements } from "@waybill/sql";
import type { Arrival } from "./arrival.ts";
import type { Engine, Registration } from "./engine.ts";
import type { MessagePrint } from "./inbox-store.ts";
import type { ResultOrigin } from "./result-store.ts";

/** What is told of a message beside how it ended. No result: its type keeps none, or it is not kept any more. */
export interface Told {
  readonly result?: unknown;
}

/**
 * Keeps what a handler has returned, and answers it as every repeat will get it: as JSON makes of it, and null for nothing.
 *
 * @throws WAYBILL_PAYLOAD_NOT_JSON, WAYBILL_RESULT_TOO_LARGE
 */
export async function keepResult(
  engine: Engine,
  tx: OwnedTx,
  origin: ResultOrigin,
  print: MessagePrint,
  returned: unknown,
): Promise<unknown> {
  const { resultBytesMax } = engine.settings;
  const json = encodeJson(`result of ${origin} ${print.messageId}`, returned ?? null);
  const bytes = Buffer.byteLength(json);
  if (bytes > resultBytesMax) {
    throw waybillError(
      "WAYBILL_RESULT_TOO_LARGE",
      `What the handler returned takes ${bytes} bytes as JSON, at most ${resultBytesMax} are kept. Return less, or raise resultBytesMax.`,
      { messageId: print.messageId, bytes, bytesMax: resultBytesMax },
    );
  }
  await engine.results.keep(tx, origin, print, json);
  engine.report({ name: "inbox.resultKept", messageId: print.messageId, bytes });
  return JSON.parse(json);
}

export interface Duplicate extends MessagePrint {
  readonly registration: Registration | undefined;
}

/** What is told of duplicates: by id, those whose type keeps results and whose result is still there. */
export async function resultsOf(
  engine: Engine,
  statements: Pick<Statements, "query">,
  duplicates: readonly Duplicate[],
): Promise<ReadonlyMap<string, Told>> {
  const keeping = duplicates.filter(({ registration }) => registration?.keepsResult === true);
  if (keeping.length === 0) return new Map();
  const ids = keeping.map(({ messageId }) => messageId);
  const kept = await engine.results.read(statements, "message", ids);
  const told = keeping.flatMap(({ messageId, fingerprint }): [string, Told][] => {
    const one = kept.get(messageId);
    // Results may be kept longer than the notes of dedupe: what was answered to other content under the same id is no answer.
    if (one === undefined || one.json === null || one.fingerprint !== fingerprint) return [];
    return [[messageId, { result: JSON.parse(one.json) as unknown }]];
  });
  return new Map(told);
}

/** What is told of one duplicate. */
export async function duplicateOf(
  engine: Engine,
  statements: Pick<Statements, "query">,
  { id, fingerprint, message }: Arrival,
): Promise<{ readonly told?: Told }> {
  const registration = engine.registrations.get(message.type);
  const told = (await resultsOf(engine, statements, [{ messageId: id, fingerprint, registration }])).get(id);
  return told === undefined ? {} : { told };
}
