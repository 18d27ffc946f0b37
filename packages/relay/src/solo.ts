/**
 * Finding the message that kills its relay. Decisions only.
 *
 * A relay that dies leaves its lease unreleased. If it also got nowhere – `progressed` false – its successor publishes one message
 * at a time, in id order, and writes down which one before each: then the next death has a name. At the third death the message is
 * a dead letter, wherever it lies, without being published again.
 *
 *     died after progress ──▶ as usual          died before progress ──▶ solo ──died──▶ deaths of that id + 1 ──▶ solo …
 *                                                                         └── progressed ──▶ as usual
 *
 * `progressed` must not be set by just any confirmed neighbour, or a killer with busy neighbours would never be found: it takes
 * something confirmed AND an outcome, a wait or an absence for every id that was stored open when the lease was acquired. Until each of
 * those has had it, nothing new is read: what is stored then only shrinks, from one death to the next, however fast the ledger grows. A
 * relay that loses its lease on a busy machine counts as dead, too, and a backlog that grew with each of them would never be left again.
 */
import type { Acquisition, SoloDeaths } from "./subscriptions.ts";

/** Deaths after which a message is given up. */
export const soloDeathsMax = 3;

export interface SoloStart {
  readonly isSolo: boolean;
  readonly deaths: SoloDeaths;
  /** The id whose death was counted just now, or null. */
  readonly died: bigint | null;
}

/**
 * How to begin, given what the last holder left. `wasSolo`: whether we ourselves were publishing alone under our last epoch.
 * `unsettled`: what we concluded under an earlier epoch of ours and never got written down; what we took over then is gone from the row.
 */
export function soloStart(acquisition: Acquisition, owner: string, wasSolo: boolean, unsettled: SoloStart | null = null): SoloStart {
  const { ownerBefore, progressedBefore, soloIdBefore, soloDeaths } = acquisition;
  // Our own earlier epoch did not end in a death: we are here.
  if (ownerBefore === owner && unsettled !== null) return { ...unsettled, died: null };
  if (ownerBefore === owner) return { isSolo: wasSolo, deaths: soloDeaths, died: null };
  if (ownerBefore === null) return { isSolo: false, deaths: soloDeaths, died: null };
  if (soloIdBefore === null) return { isSolo: !progressedBefore, deaths: soloDeaths, died: null };
  const deaths = new Map(soloDeaths).set(soloIdBefore, (soloDeaths.get(soloIdBefore) ?? 0) + 1);
  return { isSolo: !progressedBefore, deaths, died: soloIdBefore };
}
