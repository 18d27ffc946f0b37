import { describe, expect, test } from "vitest";
import { planBatch, stepsOf } from "./batch-plan.ts";
import type { Claimed } from "./inbox-store.ts";

const claimed: Claimed = { kind: "claimed" };
const handled: Claimed = { kind: "handled", isSameContent: true };

describe("the plan of a batch", () => {
  const plan = (...messages: readonly (readonly [lane: string | null, found: Claimed, isReadable?: boolean])[]): readonly string[] =>
    planBatch(
      messages.map(([lane, , isReadable = true]) => ({ lane, isReadable })),
      messages.map(([, found]) => found),
    );

  test("new messages are run, handled ones are duplicates", () => {
    expect(plan(["a", claimed], ["a", handled], ["a", claimed], [null, claimed])).toEqual(["run", "duplicate", "run", "run"]);
  });

  test.each<Claimed>([
    { kind: "handled", isSameContent: false },
    { kind: "onFile", isSameContent: true },
    { kind: "onFile", isSameContent: false },
    { kind: "mustWait" },
    { kind: "tooOld" },
  ])("what the plain way does not know is left, with all that comes later in its lane: %j", (found) => {
    expect(plan(["a", claimed], ["a", found], ["a", claimed], ["a", handled], ["b", claimed])).toEqual([
      "run",
      "left",
      "left",
      "left",
      "run",
    ]);
  });

  test("a payload that cannot be read is left, unless it was handled before", () => {
    expect(plan(["a", claimed, false], ["a", claimed], ["b", handled, false])).toEqual(["left", "left", "duplicate"]);
  });

  test("messages without key keep nobody", () => {
    expect(plan([null, { kind: "tooOld" }], [null, claimed])).toEqual(["left", "run"]);
  });
});

describe("the calls of a batch", () => {
  const calls = (...messages: readonly string[]): readonly string[] =>
    stepsOf(
      messages.map((name) => ({ name, type: name.slice(0, 1), lane: name[1] === "-" ? null : (name[1] ?? null) })),
      (type) => type === "m" || type === "n",
    ).map(({ items, isTogether }) => `${isTogether ? "many " : ""}${items.map(({ name }) => name).join(" ")}`);

  test("are one for each message, in order", () => {
    expect(calls("ax1", "by1", "ax2")).toEqual(["ax1", "by1", "ax2"]);
  });

  test("gather the messages of a type that takes many, whatever lies between", () => {
    expect(calls("mx1", "ay1", "my2", "m-3")).toEqual(["many mx1", "ay1", "many my2 m-3"]);
    expect(calls("mx1", "nx1", "my1", "mx2")).toEqual(["many mx1 my1", "many nx1", "many mx2"]);
  });

  test("overtake no message of the same lane", () => {
    expect(calls("mx1", "ax2", "mx3", "my4")).toEqual(["many mx1", "ax2", "many mx3 my4"]);
  });
});
