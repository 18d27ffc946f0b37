/**
 * Ranges of ids as the column `holes` holds them: gap, length, gap, length, … from id 0 on, as a JSON array. Differences are short where ids
 * are long, and the first number is the lowest id, which retention asks for.
 */
import assert from "node:assert/strict";
import type { IdRange } from "@waybill/outbox";

/** `ranges` are ascending and disjoint. */
export function encodeRanges(ranges: readonly IdRange[]): string {
  let next = 0n;
  const numbers = ranges.flatMap(({ low, high }) => {
    const pair = [low - next, high - low + 1n];
    next = high + 1n;
    return pair;
  });
  return `[${numbers.join(",")}]`;
}

/** What `encodeRanges` made. Anything else is a bug, or a row that somebody wrote by hand: it must not be taken for "no holes". */
export function decodeRanges(text: string): readonly IdRange[] {
  assert(/^\[(?:\d+(?:,\d+)*)?\]$/.test(text), "the stored ranges are not whole numbers in an array");
  const numbers = text === "[]" ? [] : text.slice(1, -1).split(",").map(BigInt);
  assert(numbers.length % 2 === 0, "the stored ranges are not pairs of gap and length");
  const ranges: IdRange[] = [];
  let next = 0n;
  for (let index = 0; index < numbers.length; index += 2) {
    const low = next + (numbers[index] as bigint);
    const length = numbers[index + 1] as bigint;
    assert(length > 0n, "a stored range is empty");
    next = low + length;
    ranges.push({ low, high: next - 1n });
  }
  return ranges;
}
