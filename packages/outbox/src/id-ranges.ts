/**
 * Sets of ids as lists of ranges: a rolled-back insert of a million rows is one range, not a million ids.
 *
 * Every list taken or given is ascending and disjoint; what is given is merged, too: no two ranges touch. Nothing is changed in
 * place. Lists of 10 000 ranges are normal, so membership is a binary search and everything else one pass.
 */
import type { IdRange } from "./ledger.ts";

/** True if `id` lies in one of the ranges. */
export function hasId(ranges: readonly IdRange[], id: bigint): boolean {
  const range = ranges[firstReaching(ranges, id)];
  return range !== undefined && range.low <= id;
}

/** How many ids the ranges hold. */
export function countIds(ranges: readonly IdRange[]): bigint {
  let count = 0n;
  for (const { low, high } of ranges) count += high - low + 1n;
  return count;
}

/** The ranges that hold exactly these ids, given in ascending order; an id given twice counts once. */
export function rangesFromIds(ids: readonly bigint[]): IdRange[] {
  const ranges: IdRange[] = [];
  for (const id of ids) push(ranges, id, id);
  return ranges;
}

/** Sorts and merges ranges that came from outside, in any order, overlapping or not. Empty ones (low above high) are dropped. */
export function normaliseRanges(ranges: readonly IdRange[]): IdRange[] {
  const sorted = ranges.filter(({ low, high }) => low <= high).sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  const merged: IdRange[] = [];
  for (const { low, high } of sorted) push(merged, low, high);
  return merged;
}

/** The ranges with one more, merged with what it touches. Cheapest at the end, where a reader adds its holes. */
export function addRange(ranges: readonly IdRange[], range: IdRange): IdRange[] {
  const from = firstReaching(ranges, range.low - 1n);
  let to = from;
  let { low, high } = range;
  for (let met = ranges[to]; met !== undefined && met.low <= high + 1n; met = ranges[to]) {
    if (met.low < low) low = met.low;
    if (met.high > high) high = met.high;
    to += 1;
  }
  return [...ranges.slice(0, from), { low, high }, ...ranges.slice(to)];
}

/** Everything that is in `a` or in `b`. */
export function uniteRanges(a: readonly IdRange[], b: readonly IdRange[]): IdRange[] {
  const united: IdRange[] = [];
  let indexA = 0;
  let indexB = 0;
  for (;;) {
    const nextA = a[indexA];
    const nextB = b[indexB];
    if (nextA !== undefined && (nextB === undefined || nextA.low <= nextB.low)) {
      push(united, nextA.low, nextA.high);
      indexA += 1;
    } else if (nextB !== undefined) {
      push(united, nextB.low, nextB.high);
      indexB += 1;
    } else {
      return united;
    }
  }
}

/** Everything that is in `a` and not in `b`. */
export function subtractRanges(a: readonly IdRange[], b: readonly IdRange[]): IdRange[] {
  const rest: IdRange[] = [];
  let index = 0;
  for (const { low: first, high } of a) {
    let low = first;
    for (let taken = b[index]; taken !== undefined && taken.high < low; taken = b[index]) index += 1;
    let cut = index;
    for (let taken = b[cut]; taken !== undefined && taken.low <= high && low <= high; taken = b[cut]) {
      if (taken.low > low) push(rest, low, taken.low - 1n);
      low = taken.high + 1n;
      cut += 1;
    }
    if (low <= high) push(rest, low, high);
  }
  return rest;
}

/** Everything that is in both. */
export function intersectRanges(a: readonly IdRange[], b: readonly IdRange[]): IdRange[] {
  const both: IdRange[] = [];
  let indexA = 0;
  let indexB = 0;
  for (;;) {
    const nextA = a[indexA];
    const nextB = b[indexB];
    if (nextA === undefined || nextB === undefined) return both;
    const low = nextA.low > nextB.low ? nextA.low : nextB.low;
    const high = nextA.high < nextB.high ? nextA.high : nextB.high;
    if (low <= high) push(both, low, high);
    if (nextA.high < nextB.high) indexA += 1;
    else indexB += 1;
  }
}

/** Index of the first range that ends at or above `id`. */
function firstReaching(ranges: readonly IdRange[], id: bigint): number {
  let from = 0;
  let to = ranges.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((ranges[middle] as IdRange).high < id) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Appends a range that begins at or after the last one's beginning, merging the two where they touch. */
function push(ranges: IdRange[], low: bigint, high: bigint): void {
  const last = ranges[ranges.length - 1];
  if (last === undefined || low > last.high + 1n) ranges.push({ low, high });
  else if (high > last.high) ranges[ranges.length - 1] = { low: last.low, high };
}
