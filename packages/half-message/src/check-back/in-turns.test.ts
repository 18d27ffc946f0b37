import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import type { Request } from "../store.ts";
import { inTurns } from "./in-turns.ts";

const requestOf = (id: string): Request => ({ id }) as Request;

/** A writer that ends what it was asked when it is told to. */
function heldWriter() {
  const asked: string[] = [];
  const ends: ((error?: Error) => void)[] = [];
  return {
    asked,
    end: (nth: number, error?: Error): void => ends[nth]?.(error),
    judge: ({ id }: Request) =>
      new Promise<never>((resolve, reject) => {
        asked.push(id);
        ends.push((error) => (error === undefined ? resolve(undefined as never) : reject(error)));
      }),
  };
}

test("so many are judged at once, the others in the order in which they came, whatever became of those before", async () => {
  const writer = heldWriter();
  const turns = inTurns(writer, { clock: manualClock(), atOnce: 2, waitMsMax: 1_000 });
  const judged = ["a", "b", "c", "d"].map((id) => turns.judge(requestOf(id)));
  await Promise.resolve();
  expect(writer.asked).toEqual(["a", "b"]);
  writer.end(1, new Error("refused"));
  await expect(judged[1]).rejects.toThrow("refused");
  expect(writer.asked).toEqual(["a", "b", "c"]);
  for (const nth of [0, 2]) writer.end(nth);
  await Promise.all([judged[0], judged[2]]);
  writer.end(3);
  await judged[3];
  expect(writer.asked).toEqual(["a", "b", "c", "d"]);
  const later = turns.judge(requestOf("e"));
  await Promise.resolve();
  expect(writer.asked.at(-1)).toBe("e");
  writer.end(4);
  await later;
});

test("what waits for longer than its lease is refused in its turn, and holds up nobody behind it", async () => {
  const clock = manualClock();
  const writer = heldWriter();
  const turns = inTurns(writer, { clock, atOnce: 1, waitMsMax: 1_000 });
  const first = turns.judge(requestOf("a"));
  const late = turns.judge(requestOf("b"));
  await clock.advance(1_001);
  const fresh = turns.judge(requestOf("c"));
  writer.end(0);
  await first;
  await expect(late).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
  await Promise.resolve();
  expect(writer.asked).toEqual(["a", "c"]);
  writer.end(1);
  await fresh;
});
