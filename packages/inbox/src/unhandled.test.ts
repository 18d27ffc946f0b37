import type { Clock } from "@waybill/core";
import { expect, test } from "vitest";
import { createUnhandled, type Unhandled } from "./unhandled.ts";

const done = { kind: "done", as: "handled" } as const;
const again = { kind: "again", afterMs: 1_000, as: "failed" } as const;

function setUp(): { readonly unhandled: Unhandled; at(ms: number): void } {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs } as Clock;
  return {
    unhandled: createUnhandled(clock),
    at(ms) {
      nowMs = ms;
    },
  };
}

const look = (unhandled: Unhandled): readonly number[] => [unhandled.count(), unhandled.oldestMs(), unhandled.stuckMs()];

test("what is done is gone, and what is left is as old as its first delivery", () => {
  const { unhandled, at } = setUp();
  expect(look(unhandled)).toEqual([0, 0, 0]);
  unhandled.delivered("a");
  at(100);
  unhandled.delivered("b");
  at(300);
  expect(look(unhandled)).toEqual([2, 300, 300]);
  unhandled.ended("a", done);
  at(350);
  expect(look(unhandled)).toEqual([1, 250, 50]);
  unhandled.ended("b", done);
  expect(look(unhandled)).toEqual([0, 0, 0]);
});

test("quiet times are not held against a message that comes after them", () => {
  const { unhandled, at } = setUp();
  unhandled.delivered("a");
  unhandled.ended("a", done);
  at(3_600_000);
  unhandled.delivered("b");
  expect(look(unhandled)).toEqual([1, 0, 0]);
});

test("a message that comes again keeps its age, and is forgotten if it does not come back", () => {
  const { unhandled, at } = setUp();
  unhandled.delivered("a");
  unhandled.ended("a", again);
  at(30_000);
  expect(look(unhandled)).toEqual([1, 30_000, 29_000]);
  unhandled.delivered("a");
  at(200_000);
  expect(look(unhandled)).toEqual([1, 200_000, 199_000]);
  unhandled.ended("a", again);
  at(261_000);
  expect(look(unhandled)).toEqual([0, 0, 0]);
});

test("of a process that stops nothing is expected, and too many are not noted", () => {
  const { unhandled } = setUp();
  for (let index = 0; index < 10_100; index += 1) unhandled.delivered(String(index));
  expect(unhandled.count()).toBe(10_000);
  for (let index = 0; index < 10_100; index += 1) unhandled.ended(String(index), { kind: "again", afterMs: 0, as: "stopped" });
  expect(unhandled.count()).toBe(0);
});

test("a wait that was asked for is no standing still, one for a disturbance is, and what is overdue counts from when it was due", () => {
  const { unhandled, at } = setUp();
  unhandled.delivered("a");
  unhandled.ended("a", { kind: "again", afterMs: 600_000, as: "failed" });
  at(599_000);
  expect(look(unhandled)).toEqual([1, 599_000, 0]);
  at(601_000);
  unhandled.delivered("a");
  at(602_000);
  expect(look(unhandled)).toEqual([1, 602_000, 2_000]);
  unhandled.ended("a", { kind: "again", afterMs: 600_000, as: "failed" });
  unhandled.delivered("b");
  at(603_000);
  unhandled.ended("b", { kind: "again", afterMs: 30_000, as: "disturbed" });
  at(620_000);
  expect(look(unhandled)).toEqual([2, 620_000, 18_000]);
});
