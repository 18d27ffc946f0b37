/**
 * Whether a message was appended, asked when nobody knows: its COMMIT went out, and no answer came back.
 *
 *     search ──found──────────────────────────────────────────────▶ appended
 *        └─not found─▶ look ─▶ look until all writers of then are gone ─▶ search ──found─▶ appended
 *                        └── deadline ──▶ undecided                          └─not found─▶ not appended
 *
 * Not to find the row proves nothing: its transaction may be about to commit, or prepared. So its end is waited for, in the way in
 * which a hole is proved dead (`hole-proof.ts`); whoever was inserting when we first looked is gone when we search again, and what
 * it committed is visible then.
 *
 * The ledger has no index on message ids. The ids that we make (UUIDv7) begin with the time at which they were made, so a search
 * covers the rows of that time, first closely, then with the margin. Ids of the caller's own are looked up in the table of their own.
 */
import { type Clock, ownMessageId, wait } from "@waybill/core";
import type { Row, SqlValue } from "@waybill/sql";
import type { LedgerTables } from "../ledger-tables.ts";
import { applyLook, type HoleProofState, nothingProved, provedRanges, sealHoles } from "./hole-proof.ts";
import { parseLook } from "./look.ts";
import { findIdAtTime } from "./statements/find-id-at-time.ts";
import { findMessage } from "./statements/find-message.ts";
import { findOwnId } from "./statements/find-own-id.ts";
import { lookForWriters } from "./statements/look-for-writers.ts";

/** Runs one statement outside any transaction, or in one at READ COMMITTED: each must see what was committed before it was sent. */
export interface Reader {
  query(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>;
}

/** `undecided`: its transaction, or somebody else's that began as early, was still open at the deadline. Ask again. */
export type Appended = "appended" | "notAppended" | "undecided";

export interface FindSettings {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly marginMs: number;
}

/** Two looks at the locks are this far apart. */
const lookEveryMs = 20;

/** Application and database rarely disagree about the time by more. */
const closeMarginMs = 5_000;

export async function findAppended(reader: Reader, tables: LedgerTables, givenId: string, settings: FindSettings): Promise<Appended> {
  const { clock, deadlineMs } = settings;
  const messageId = ownMessageId(givenId);
  const endsAtMs = clock.monotonicMs() + deadlineMs;
  if (await isThere(reader, tables, messageId, settings.marginMs)) return "appended";

  // A made-up hole stands for the row that was not found.
  const rows = [{ low: 0n, high: 0n }];
  let state: HoleProofState = { ...nothingProved, sealableUpTo: 0n };
  while (provedRanges(state).length === 0) {
    const sealed = sealHoles(state, rows);
    state = applyLook(sealed, parseLook(await reader.query(lookForWriters(tables.outbox, tables.sequence), [])));
    const leftMs = endsAtMs - clock.monotonicMs();
    if (provedRanges(state).length === 0 && leftMs <= 0) return "undecided";
    if (provedRanges(state).length === 0) await wait(clock, Math.min(lookEveryMs, leftMs));
  }
  return (await isThere(reader, tables, messageId, settings.marginMs)) ? "appended" : "notAppended";
}

async function isThere(reader: Reader, tables: LedgerTables, messageId: string, marginMs: number): Promise<boolean> {
  if ((await reader.query(findOwnId(tables.ids), [messageId])).length > 0) return true;
  const madeAtMs = timeOf(messageId);
  if (madeAtMs === null) return false;
  for (const margin of [Math.min(closeMarginMs, marginMs), marginMs]) {
    const from = await idAt(reader, tables, madeAtMs - margin);
    const to = await idAt(reader, tables, madeAtMs + margin);
    if ((await reader.query(findMessage(tables.outbox), [messageId, from, to])).length > 0) return true;
  }
  return false;
}

async function idAt(reader: Reader, tables: LedgerTables, timeMs: number): Promise<string | null> {
  const rows = (await reader.query(findIdAtTime(tables.outbox), [String(timeMs)])) as readonly { id: string | null }[];
  return rows[0]?.id ?? null;
}

/** The time in a UUIDv7 (RFC 9562, §5.7), or null for any other UUID. */
function timeOf(messageId: string): number | null {
  return messageId[14] === "7" ? Number.parseInt(messageId.slice(0, 8) + messageId.slice(9, 13), 16) : null;
}
