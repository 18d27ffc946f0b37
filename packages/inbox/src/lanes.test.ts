import { describe, expect, test } from "vitest";
import { createLanes, type InLine, type Lanes } from "./lanes.ts";

interface Item extends InLine {
  readonly name: string;
}

function item(name: string, lane: string | null, over: Partial<Item> = {}): Item {
  return { name, lane, id: name, bytes: 1, ...over };
}

const all = { itemsMax: 100, bytesMax: 100 };
const any = (): boolean => true;
const namesOf = (items: readonly Item[]): readonly string[] => items.map(({ name }) => name);

function filled(...items: readonly Item[]): Lanes<Item> {
  const lanes = createLanes<Item>();
  for (const each of items) lanes.add(each);
  return lanes;
}

describe("taking from the lanes", () => {
  test("what is ready is taken in the order of its lanes", () => {
    const lanes = filled(item("a1", "a"), item("b1", "b"), item("none", null), item("a2", "a"));
    expect(namesOf(lanes.take(all, any))).toEqual(["a1", "a2", "b1", "none"]);
    expect(lanes.waiting).toBe(0);
  });

  test("a lane that has messages out is not ready, others are", () => {
    const lanes = filled(item("a1", "a"));
    const first = lanes.take(all, any);
    for (const each of [item("a2", "a"), item("b1", "b")]) lanes.add(each);
    expect(namesOf(lanes.take(all, any))).toEqual(["b1"]);
    expect(namesOf(lanes.take(all, any))).toEqual([]);
    lanes.end(first, []);
    expect(namesOf(lanes.take(all, any))).toEqual(["a2"]);
  });

  test("messages without a key wait for nobody", () => {
    const lanes = filled(item("1", null), item("2", null));
    expect(namesOf(lanes.take({ itemsMax: 1, bytesMax: 100 }, any))).toEqual(["1"]);
    expect(namesOf(lanes.take(all, any))).toEqual(["2"]);
  });

  test("a lane with many messages keeps no other from its turn", () => {
    const lanes = filled(...Array.from({ length: 9 }, (_, n) => item(`a${n}`, "a")), item("b", "b"));
    const first = lanes.take({ itemsMax: 4, bytesMax: 100 }, any);
    lanes.end(first, []);
    expect(namesOf(lanes.take({ itemsMax: 4, bytesMax: 100 }, any))).toEqual(["b", "a4", "a5", "a6"]);
  });

  test("a batch is bounded by bytes, but one message is always taken", () => {
    const lanes = filled(item("a1", "a", { bytes: 500 }), item("a2", "a", { bytes: 60 }), item("a3", "a", { bytes: 60 }));
    for (const names of [["a1"], ["a2"], ["a3"]]) {
      const taken = lanes.take(all, any);
      expect(namesOf(taken)).toEqual(names);
      lanes.end(taken, []);
    }
  });

  test("what is not wanted keeps its place, and those behind it theirs", () => {
    const lanes = filled(item("a1", "a"), item("b1", "b"), item("b2", "b"));
    expect(namesOf(lanes.take(all, ({ name }) => name !== "b1"))).toEqual(["a1"]);
    expect(namesOf(lanes.take(all, any))).toEqual(["b1", "b2"]);
  });
});

describe("an id that is out", () => {
  test("keeps its second delivery waiting, with its lane, until the first has ended", () => {
    const lanes = filled(item("first", "a", { id: "x" }), item("second", "b", { id: "x" }), item("behind", "b"), item("c1", "c"));
    const taken = lanes.take(all, any);
    expect(namesOf(taken)).toEqual(["first", "c1"]);
    expect(namesOf(lanes.take(all, any))).toEqual([]);
    lanes.end(taken, []);
    expect(namesOf(lanes.take(all, any))).toEqual(["second", "behind"]);
  });

  test("keeps it waiting in the same lane, too", () => {
    const lanes = filled(item("first", "a", { id: "x" }), item("second", "a", { id: "x" }));
    const taken = lanes.take(all, any);
    expect(namesOf(taken)).toEqual(["first"]);
    lanes.end(taken, []);
    expect(namesOf(lanes.take(all, any))).toEqual(["second"]);
  });

  test("keeps it waiting where neither has a key", () => {
    const lanes = filled(item("first", null, { id: "x" }), item("second", null, { id: "x" }), item("third", null, { id: "x" }));
    for (const name of ["first", "second", "third"]) {
      const taken = lanes.take(all, any);
      expect(namesOf(taken)).toEqual([name]);
      lanes.end(taken, []);
    }
  });
});

test("what is put back comes before whatever came later, in its order", () => {
  const lanes = filled(item("a1", "a"), item("a2", "a"), item("b1", "b"));
  const taken = lanes.take(all, any);
  for (const late of [item("a3", "a"), item("b2", "b")]) lanes.add(late);
  lanes.end(taken, taken.slice(1));
  expect(lanes.waiting).toBe(4);
  const again = lanes.take(all, any);
  expect(namesOf(again)).toEqual(["a2", "a3", "b1", "b2"]);
  lanes.end(again, []);
  expect([lanes.waiting, lanes.take(all, any)]).toEqual([0, []]);
});
