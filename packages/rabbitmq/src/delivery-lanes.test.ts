import type { Delivery, ReceivedMessage, Settlement } from "@waybill/core";
import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { createDeliveryLanes, type HeldDelivery } from "./delivery-lanes.ts";
import { createHandlerLine } from "./handler-line.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lanes with a handler that answers when it is told to, and a log of what happened. */
function lanesOf(clock = manualClock(), line = createHandlerLine(clock)) {
  const log: string[] = [];
  const answers = new Map<string, (settlement: Settlement | Error) => void>();
  const lanes = createDeliveryLanes(
    ([delivery]) =>
      new Promise((resolve, reject) => {
        const { message, redelivered } = delivery as Delivery;
        log.push(`${message.id}${redelivered ? " again" : ""}`);
        answers.set(message.id, (settlement) => (settlement instanceof Error ? reject(settlement) : resolve([settlement])));
      }),
    clock,
    line,
  );
  let generation = 1;
  const add = (id: string, lane: string | null): void => {
    const mine = generation;
    const held: HeldDelivery = {
      delivery: { message: { id } as ReceivedMessage, redelivered: false },
      lane,
      isCurrent: () => generation === mine,
      onSettled: ({ kind }) => void log.push(`${id} ${kind}`),
      onGone: () => void log.push(`${id} gone`),
    };
    lanes.add(held);
  };
  const answer = async (id: string, settlement: Settlement | Error = { kind: "done" }): Promise<void> => {
    answers.get(id)?.(settlement);
    await turn();
  };
  const taken = (): readonly string[] => log.splice(0);
  return {
    clock,
    lanes,
    add,
    answer,
    taken,
    lose() {
      generation += 1;
      lanes.forget();
    },
  };
}

test("one of a lane is with the handler at a time; without a lane nothing waits", async () => {
  const { add, answer, taken } = lanesOf();
  add("a1", "a");
  add("a2", "a");
  add("b1", "b");
  add("x", null);
  add("y", null);
  expect(taken()).toEqual(["a1", "b1", "x", "y"]);
  await answer("a1");
  expect(taken()).toEqual(["a1 done", "a1 gone", "a2"]);
});

test("what comes again stays the first of its lane, comes when it is due, and says so", async () => {
  const { clock, add, answer, taken } = lanesOf();
  add("a1", "a");
  add("a2", "a");
  await answer("a1", { kind: "again", afterMs: 100 });
  expect(taken()).toEqual(["a1", "a1 again"]);
  await clock.advance(99);
  expect(taken()).toEqual([]);
  await clock.advance(1);
  expect(taken()).toEqual(["a1 again"]);
  await answer("a1", new Error("the handler's own"));
  expect(taken()).toEqual(["a1 again"]);
  await clock.advance(1_000);
  await answer("a1");
  expect(taken()).toEqual(["a1 again", "a1 done", "a1 gone", "a2"]);
});

test("when a channel is lost what waits is forgotten, and a repetition waits for the handler that is still at its key", async () => {
  const { clock, lanes, add, answer, taken, lose } = lanesOf();
  add("a1", "a");
  add("a2", "a");
  add("b1", "b");
  await answer("b1", { kind: "again", afterMs: 100 });
  taken();
  lose();
  expect([...taken()].sort()).toEqual(["a2 gone", "b1 gone"]);
  add("a1", "a");
  add("a2", "a");
  add("b1", "b");
  expect(taken()).toEqual(["b1"]);
  await clock.advance(100);
  expect([taken(), lanes.out]).toEqual([[], 2]);
  await answer("a1"); // of the lost channel: it settles nothing
  expect(taken()).toEqual(["a1 gone", "a1"]);
  await answer("a1");
  expect(taken()).toEqual(["a1 done", "a1 gone", "a2"]);
});

test("a stop hands over nothing more and waits for what is with the handler, but not for ever", async () => {
  const { clock, lanes, add, answer, taken } = lanesOf();
  add("a1", "a");
  add("a2", "a");
  add("b1", "b");
  const stopping = lanes.stop(1_000);
  await answer("a1");
  await answer("b1", { kind: "again", afterMs: 10 });
  expect(await stopping).toBe(true);
  await clock.advance(10_000);
  expect(taken()).toEqual(["a1", "b1", "a1 done", "a1 gone", "b1 again"]);
  const other = lanesOf();
  other.add("a1", "a");
  const late = other.lanes.stop(1_000);
  await other.clock.advance(1_000);
  expect(await late).toBe(false);
});

test("it tells since when nothing has ended", async () => {
  const { clock, lanes, add, answer } = lanesOf();
  expect(lanes.quietSinceMs).toBe(null);
  const startMs = clock.monotonicMs();
  add("a1", "a");
  await clock.advance(500);
  add("b1", "b");
  expect(lanes.quietSinceMs).toBe(startMs);
  await answer("b1");
  expect(lanes.quietSinceMs).toBe(startMs + 500);
  await answer("a1");
  expect(lanes.quietSinceMs).toBe(null);
});

test("one that waits for its place behind those of other queues is not taken for one that hangs, and one that hangs is not hidden", async () => {
  const clock = manualClock();
  const line = createHandlerLine(clock);
  const [other, own] = [lanesOf(clock, line), lanesOf(clock, line)];
  const startMs = clock.monotonicMs();
  for (const id of ["a1", "a2"]) other.add(id, null);
  own.add("b1", null);
  other.add("a3", null);
  await clock.advance(100);
  await other.answer("a2");
  expect([own.lanes.quietSinceMs, other.lanes.quietSinceMs]).toEqual([startMs + 100, startMs + 100]);
  await clock.advance(100);
  await other.answer("a1");
  await clock.advance(100);
  await other.answer("a3"); // it came later: its end says nothing about b1
  expect([own.lanes.quietSinceMs, other.lanes.quietSinceMs]).toEqual([startMs + 200, null]);
});
