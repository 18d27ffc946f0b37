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
 */
import { ownMessageId, wait } from "@waybill/core";
import { type Appended, type FindSettings, isThere, lookEveryMs, type Reader, type Search } from "../find-message.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { applyLook, type HoleProofState, nothingProved, provedRanges, sealHoles } from "./hole-proof.ts";
import { idAtTime } from "./id-at-time.ts";
import { parseLook } from "./look.ts";
import { findMessage } from "./statements/find-message.ts";
import { findOwnId } from "./statements/find-own-id.ts";
import { lookForWriters } from "./statements/look-for-writers.ts";

export async function findAppended(reader: Reader, tables: LedgerTables, givenId: string, settings: FindSettings): Promise<Appended> {
  const { clock, deadlineMs } = settings;
  const messageId = ownMessageId(givenId);
  const search = searchOf(reader, tables);
  const endsAtMs = clock.monotonicMs() + deadlineMs;
  if (await isThere(search, messageId, settings.marginMs)) return "appended";

  // A made-up hole stands for the row that was not found.
  const rows = [{ low: 0n, high: 0n }];
  // A transaction that stores a message until it is due writes there only, and claims its id.
  const writers = lookForWriters(tables.outbox, tables.sequence, [tables.delayed]);
  let state: HoleProofState = { ...nothingProved, sealableUpTo: 0n };
  while (provedRanges(state).length === 0) {
    const sealed = sealHoles(state, rows);
    state = applyLook(sealed, parseLook(await reader.query(writers, [])));
    const leftMs = endsAtMs - clock.monotonicMs();
    if (provedRanges(state).length === 0 && leftMs <= 0) return "undecided";
    if (provedRanges(state).length === 0) await wait(clock, Math.min(lookEveryMs, leftMs));
  }
  return (await isThere(search, messageId, settings.marginMs)) ? "appended" : "notAppended";
}

function searchOf(reader: Reader, { ids, outbox }: LedgerTables): Search {
  return {
    hasClaim: async (messageId) => (await reader.query(findOwnId(ids), [messageId])).length > 0,
    idAt: async (timeMs) => {
      const id = await idAtTime(reader, outbox, timeMs);
      return id === null ? null : String(id);
    },
    hasRow: async (messageId, from, to) => (await reader.query(findMessage(outbox), [messageId, from, to])).length > 0,
  };
}
