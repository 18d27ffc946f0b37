import { AuditInputError } from "./audit-input-error.ts";
import { receivedFrom } from "./entries.ts";
import { countAt, oneOfAt, optional, textAt, textOrNullAt } from "./fields.ts";
import type { Intent, Received, TransactionOutcome } from "./history.ts";
import { createJsonLines, type JsonLines, readJsonLines } from "./json-lines.ts";

/**
 * The writers' journal: what they meant, on disk before COMMIT is sent, and what they learnt, after its reply.
 *
 *     intended ──COMMIT──▶ committed | rolledBack       the reply came
 *         │                     unknown                 the reply was lost
 *         └── killed                                    nothing follows: unknown
 *
 * `intended` opens an attempt, the other steps close it; a repeated unit opens the next attempt of the same message id. A step
 * after the attempt was closed corrects it: that is how the answer of a later probe is written. The message is committed if
 * one attempt was; else its outcome is unknown if one attempt's is; else it was rolled back.
 */
export interface JournalEntry {
  readonly step: "intended" | TransactionOutcome;
  readonly messageId: string;
  readonly topic: string;
  readonly key: string | null;
  readonly payloadDigest?: string;
  readonly order?: number;
}

/** Each write returns once it is on disk. One process writes a file at a time; a killed writer's file may be opened again. */
export function createJournal(file: string): JsonLines<JournalEntry> {
  return createJsonLines(file);
}

/**
 * The intents in the given journals, one per message id, in order of first appearance. A message journaled in several files is
 * taken to have gone through them in the order given.
 *
 * Tolerates a torn last line, since writers are killed. Throws `AuditInputError` for a torn line elsewhere, a field that is
 * missing, or a message id with two topics or keys.
 */
export async function readJournal(...files: readonly string[]): Promise<Intent[]> {
  const attempts = new Map<string, Attempts>();
  for (const file of files) {
    for await (const { entry, where } of readJsonLines(file)) {
      const step: JournalEntry = {
        step: oneOfAt(entry, "step", where, ["intended", "committed", "rolledBack", "unknown"]),
        messageId: textAt(entry, "messageId", where),
        topic: textAt(entry, "topic", where),
        key: textOrNullAt(entry, "key", where),
        ...optional(entry, "payloadDigest", where, textAt),
        ...optional(entry, "order", where, countAt),
      };
      attempts.set(step.messageId, follow(attempts.get(step.messageId), step, where));
    }
  }
  return [...attempts.values()].map(intentOf);
}

interface Attempts {
  /** The entry whose content counts: the committed attempt's, else the last. */
  readonly entry: JournalEntry;
  readonly last: JournalEntry["step"];
  readonly wasCommitted: boolean;
  /** An attempt before the last ended unknown. */
  readonly wasUnknown: boolean;
}

function follow(before: Attempts | undefined, entry: JournalEntry, where: string): Attempts {
  const wasCommitted = entry.step === "committed" || before?.wasCommitted === true;
  if (before === undefined) return { entry, last: entry.step, wasCommitted, wasUnknown: false };
  if (before.entry.topic !== entry.topic || before.entry.key !== entry.key) {
    throw new AuditInputError(where, "the same message id with another topic or key");
  }
  const isNext = entry.step === "intended";
  const leftOpen = before.last === "intended" || before.last === "unknown";
  return {
    entry: before.wasCommitted ? before.entry : { ...before.entry, ...entry },
    last: entry.step,
    wasCommitted,
    wasUnknown: before.wasUnknown || (isNext && leftOpen),
  };
}

function intentOf({ entry, last, wasCommitted, wasUnknown }: Attempts): Intent {
  const { step: _, ...content } = entry;
  const isOpen = wasUnknown || last === "intended" || last === "unknown";
  return { ...content, outcome: wasCommitted ? "committed" : isOpen ? "unknown" : "rolledBack" };
}

/** A destination's own log of what it received, in order of arrival. Write before answering the publisher. */
export function createReceivedLog(file: string): JsonLines<Received> {
  return createJsonLines(file);
}

/** What a destination logged, in order. Tolerates a torn last line; throws `AuditInputError` as `readJournal` does. */
export async function readReceivedLog(file: string): Promise<Received[]> {
  const records: Received[] = [];
  for await (const { entry, where } of readJsonLines(file)) records.push(receivedFrom(entry, where));
  return records;
}
