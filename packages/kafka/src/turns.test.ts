import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { createTurns } from "./turns.ts";

test("a place is taken by one at a time, in the order of asking", async () => {
  const turns = createTurns(manualClock());
  const order: string[] = [];
  expect(await turns.take("a", 100)).toBe(true);
  const second = turns.take("a", 100).then(() => order.push("second"));
  const third = turns.take("a", 100).then(() => order.push("third"));
  expect(await turns.take("b", 100)).toBe(true);
  expect(order).toEqual([]);
  turns.giveBack("a");
  await second;
  turns.giveBack("a");
  await third;
  expect(order).toEqual(["second", "third"]);
  turns.giveBack("a");
  expect(await turns.take("a", 0)).toBe(true);
});

test("who waits too long gives up, and is passed over", async () => {
  const clock = manualClock();
  const turns = createTurns(clock);
  await turns.take("a", 100);
  const impatient = turns.take("a", 10);
  const patient = turns.take("a", 1_000);
  await clock.advance(11);
  expect(await impatient).toBe(false);
  turns.giveBack("a");
  expect(await patient).toBe(true);
});
