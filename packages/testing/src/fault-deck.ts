/**
 * When which kind of fault happens to a run, decided before it starts: one random, one schedule.
 *
 * Every minute has a deck of its own, in which each kind lies as often as it must happen in a minute; it is shuffled and dealt over the minute. So no run is
 * easy by luck, and which faults meet is left to chance. Of a minute that is not whole a part of the deck is dealt.
 */
import type { Random } from "@waybill/core";

export interface FaultDeck<Kind extends string, Fault> {
  readonly random: Random;
  /** How often each kind lies in a minute's deck. What does not come out whole comes by chance. */
  readonly deck: Readonly<Record<Kind, number>>;
  readonly minutes: number;
  /** The last faults come this long before the end, so that they hit something. Default 1 500. */
  readonly tailMs?: number;
  /** What is done, of this kind, in this minute (from 0). May use the random. */
  readonly make: (kind: Kind, minute: number) => Fault;
}

export interface DealtFault<Fault> {
  /** Milliseconds after the load began. */
  readonly atMs: number;
  readonly fault: Fault;
}

const minuteMs = 60_000;

/** Ascending by time. */
export function dealFaults<Kind extends string, Fault>({
  random,
  deck,
  minutes,
  tailMs = 1_500,
  make,
}: FaultDeck<Kind, Fault>): readonly DealtFault<Fault>[] {
  const faults: DealtFault<Fault>[] = [];
  for (let minute = 0; minute < minutes; minute += 1) {
    const part = Math.min(1, minutes - minute);
    const kinds: Kind[] = [];
    for (const [kind, times] of Object.entries(deck) as [Kind, number][]) {
      const wanted = times * part;
      const count = Math.floor(wanted) + (random.fraction() < wanted % 1 ? 1 : 0);
      for (let time = 0; time < count; time += 1) kinds.push(kind);
    }
    const lengthMs = Math.max(1, part * minuteMs - (minute + 1 >= minutes ? tailMs : 0));
    for (const kind of kinds)
      faults.push({ atMs: minute * minuteMs + Math.floor(random.fraction() * lengthMs), fault: make(kind, minute) });
  }
  return faults.toSorted((left, right) => left.atMs - right.atMs);
}
