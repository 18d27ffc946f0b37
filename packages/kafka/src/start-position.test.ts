import { expect, test } from "vitest";
import { startPosition } from "./start-position.ts";

const position = { topic: "t", partition: 0, committed: null, low: 10n, high: 20n };
const start = (at: bigint | null, wasBeyondBefore = false) => startPosition(at, position, wasBeyondBefore);

test("a group goes on where it was, as long as that is there", () => {
  for (const at of [10n, 15n, 20n]) expect(start(at)).toEqual({ kind: "start", from: at, isGap: false });
});

test("a group that was nowhere begins at the beginning, and misses nothing", () => {
  expect(start(null)).toEqual({ kind: "start", from: 10n, isGap: false });
});

test("what expired before it was read is a gap", () => {
  expect(start(9n)).toEqual({ kind: "start", from: 10n, isGap: true });
});

test("a log that ends before the position is a gap only if it still does when asked again", () => {
  expect(start(21n)).toEqual({ kind: "askAgain" });
  expect(start(21n, true)).toEqual({ kind: "start", from: 10n, isGap: true });
});
