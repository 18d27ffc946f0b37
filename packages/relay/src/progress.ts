/**
 * Whether this holder has got anywhere, in the sense of `solo.ts`, and what it is publishing alone.
 */
import type { Entry } from "./lanes.ts";
import type { SoloDeaths } from "./subscriptions.ts";

export interface Progress {
  /** True once something was confirmed and everything that was stored open or spilled at acquire has had an outcome, waits, or has no row. */
  readonly hasProgressed: boolean;
  /** Of what was stored open at acquire something has had no outcome yet, or was not even read. */
  readonly isStoredLeft: boolean;
  /** The id on the wire alone, to be written down before it goes. */
  readonly soloId: bigint | null;
  readonly deaths: SoloDeaths;
  /** An entry was read out of the ranges that were stored at acquire, or was spilled then. */
  await(entry: Entry): void;
  /** A read that covered all stored ranges was applied: what it did not bring has no row. */
  storedWereRead(): void;
  /** The lanes that were spilled at acquire were all found, or wait. */
  spilledWereListed(): void;
  /** The released lanes that acquire found were worked on, or there were none. */
  releasedWereTried(): void;
  /** The entry had an outcome, or waits. */
  settled(entry: Entry): void;
  confirmed(): void;
  aloneWith(id: bigint): void;
  /** Any outcome of a message published alone clears it of suspicion. */
  survived(id: bigint): void;
}

/** `onChanged` is called when what is to be saved about deaths and the id on the wire has changed. */
export function createProgress(deathsAtStart: SoloDeaths, onChanged: () => void = () => undefined): Progress {
  const deaths = new Map(deathsAtStart);
  let awaited = 0;
  let wereStoredRead = false;
  let wereReleasedTried = false;
  let wereSpilledListed = false;
  let hasConfirmed = false;
  let soloId: bigint | null = null;

  return {
    get hasProgressed() {
      return hasConfirmed && wereStoredRead && wereSpilledListed && wereReleasedTried && awaited === 0;
    },
    get isStoredLeft() {
      return !wereStoredRead || awaited > 0;
    },
    get soloId() {
      return soloId;
    },
    deaths,
    await(entry) {
      entry.isAwaited = true;
      awaited += 1;
    },
    storedWereRead: () => {
      wereStoredRead = true;
    },
    spilledWereListed: () => {
      wereSpilledListed = true;
    },
    releasedWereTried: () => {
      wereReleasedTried = true;
    },
    settled(entry) {
      if (!entry.isAwaited) return;
      entry.isAwaited = false;
      awaited -= 1;
    },
    confirmed: () => {
      hasConfirmed = true;
    },
    aloneWith: (id) => {
      soloId = id;
    },
    survived(id) {
      const wasAlone = soloId === id;
      if (wasAlone) soloId = null;
      const wasSuspect = deaths.size > 0 && deaths.delete(id);
      if (wasAlone || wasSuspect) onChanged();
    },
  };
}
