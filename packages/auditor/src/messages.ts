import { AuditInputError } from "./audit-input-error.ts";
import type { History, Intent, LedgerRow } from "./history.ts";
import type { TraceStep } from "./verdict.ts";

/**
 * How a message's transaction really ended, by the journal where it knows and by what is there where it does not.
 *
 *     journal      row   business    fate
 *     committed     ·    there       committed
 *     committed     ·    missing     half
 *     rolledBack    ·    missing     rolledBack   (a row is a ghost)
 *     rolledBack   no    there       half
 *     rolledBack   yes   there       rolledBack   (the journal and the database disagree: the row is a ghost)
 *     unknown      yes   there       committed
 *     unknown      no    missing     rolledBack
 *     unknown      one without the other   half
 *     none         yes   ·           committed
 *     none         no    there       half
 *
 * An unknown outcome whose business row is there is no half without its ledger row if the message was received or given up: then the
 * ledger row has been there.
 * Where nobody read the business rows, they are taken to agree with the message row.
 */
export type Fate = "committed" | "rolledBack" | "half";

/** All that is known about one message id that somebody wrote. */
export interface Message {
  readonly id: string;
  readonly intent: Intent | undefined;
  readonly row: LedgerRow | undefined;
  readonly topic: string;
  readonly key: string | null;
  /** The stored bytes' digest; the journaled one where the row is gone. */
  readonly payloadDigest: string | undefined;
  readonly hasBusinessRow: boolean;
  readonly fate: Fate;
  /** What journal, business tables and ledger say, for witnesses. */
  readonly origin: () => readonly TraceStep[];
}

/** Messages by id, and ledger rows that repeat an id that has a row already. */
export interface Messages {
  readonly byId: ReadonlyMap<string, Message>;
  readonly repeatedRows: readonly { readonly row: LedgerRow; readonly position: number }[];
}

/** A fence keeps an id from being used; it is no message. */
export const isFence = (row: LedgerRow): boolean => row.type === "" && row.topic === "";

interface Draft {
  intentAt: number;
  rowAt: number;
  businessAt: number;
  isSeen: boolean;
}

/** Gathers every message that somebody wrote. Linear in the history. */
export function indexMessages(history: History): Messages {
  const drafts = new Map<string, Draft>();
  const draft = (id: string): Draft => {
    const existing = drafts.get(id);
    if (existing !== undefined) return existing;
    const made: Draft = { intentAt: -1, rowAt: -1, businessAt: -1, isSeen: false };
    drafts.set(id, made);
    return made;
  };

  for (const [position, intent] of history.intents.entries()) {
    const found = draft(intent.messageId);
    if (found.intentAt >= 0)
      throw new AuditInputError(`intents[${position}]`, "a second intent for the same message id; fold a journal's entries first");
    found.intentAt = position;
  }
  const repeatedRows: { row: LedgerRow; position: number }[] = [];
  for (const [position, row] of history.ledger.entries()) {
    if (isFence(row)) continue;
    const found = draft(row.messageId);
    if (found.rowAt >= 0) repeatedRows.push({ row, position });
    else found.rowAt = position;
  }
  for (const [position, id] of (history.businessRows ?? []).entries()) draft(id).businessAt = position;
  for (const record of history.received) seen(drafts, record.messageId);
  for (const letter of history.deadLetters) seen(drafts, letter.messageId);

  const byId = new Map<string, Message>();
  for (const [id, found] of drafts) byId.set(id, messageOf(id, found, history));
  return { byId, repeatedRows };
}

function seen(drafts: ReadonlyMap<string, Draft>, id: string): void {
  const found = drafts.get(id);
  if (found !== undefined) found.isSeen = true;
}

function messageOf(id: string, draft: Draft, history: History): Message {
  const intent = history.intents[draft.intentAt];
  const row = history.ledger[draft.rowAt];
  const hasBusinessRow = draft.businessAt >= 0;
  return {
    id,
    intent,
    row,
    topic: row?.topic ?? intent?.topic ?? "",
    key: row === undefined ? (intent?.key ?? null) : row.key,
    payloadDigest: row?.payloadDigest ?? intent?.payloadDigest,
    hasBusinessRow,
    fate: fateOf(intent, row !== undefined, history.businessRows === undefined ? undefined : hasBusinessRow, draft.isSeen),
    origin: () => {
      const steps: TraceStep[] = [];
      if (intent !== undefined) {
        steps.push({ source: "intents", position: draft.intentAt, messageId: id, what: `the writer journaled ${intent.outcome}` });
      }
      if (hasBusinessRow)
        steps.push({ source: "businessRows", position: draft.businessAt, messageId: id, what: "its business row is there" });
      if (row !== undefined)
        steps.push({ source: "ledger", position: draft.rowAt, messageId: id, what: `its ledger row is there, sequence ${row.sequence}` });
      return steps;
    },
  };
}

function fateOf(intent: Intent | undefined, hasRow: boolean, hasBusinessRow: boolean | undefined, isSeen: boolean): Fate {
  if (intent === undefined) return hasRow ? "committed" : "half";
  switch (intent.outcome) {
    case "committed":
      return hasBusinessRow === false ? "half" : "committed";
    case "rolledBack":
      return hasBusinessRow === true && !hasRow ? "half" : "rolledBack";
    case "unknown": {
      if (hasBusinessRow === undefined) return hasRow ? "committed" : "rolledBack";
      if (hasBusinessRow) return hasRow || isSeen ? "committed" : "half";
      return hasRow ? "half" : "rolledBack";
    }
  }
}
