import type { LedgerRow } from "@waybill/outbox";
import { describe, expect, it } from "vitest";
import { createLanes, type Entry, type Lane, type Lanes } from "./lanes.ts";

const row = (id: number): LedgerRow => ({
  id: BigInt(id),
  messageId: `m${id}`,
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "k",
  headers: null,
  payload: Buffer.from("{}"),
  isText: true,
  leftBytes: null,
  createdAtMs: 0,
});

const entry = (lane: Lane, id: number, over: Partial<Entry> = {}): Entry => ({
  id: BigInt(id),
  isFinished: false,
  lane,
  messageId: `m${id}`,
  createdAtMs: 0,
  row: row(id),
  bytes: 100,
  headers: new Map(),
  unreadable: null,
  attempts: 0,
  mayBeStored: false,
  isBrought: false,
  isAwaited: false,
  isSpilled: false,
  ...over,
});

const ids = (lane: Lane): number[] => lane.entries.map(({ id }) => Number(id));

function laneWith(...entered: number[]): { lanes: Lanes; lane: Lane } {
  const lanes = createLanes();
  const lane = lanes.lane("orders", "k");
  for (const id of entered) lanes.enter(entry(lane, id));
  return { lanes, lane };
}

it("lets go of the bytes of a message that is finished, whoever keeps the entry", () => {
  const { lanes, lane } = laneWith(1);
  const first = lane.entries[0] as Entry;
  lanes.leave(first);
  expect([first.row, first.headers, lanes.loadedCount, lanes.parkedCount]).toEqual([null, null, 0, 0]);
});

describe("the order of a lane", () => {
  it("is that of the ids, whatever the order they were read in", () => {
    expect(ids(laneWith(3, 5, 4, 1, 2).lane)).toEqual([1, 2, 3, 4, 5]);
  });

  it("lets a message out of a hole in before later ones, but never before what is in hand", () => {
    const { lanes, lane } = laneWith(3, 5, 8);
    lane.inHand = 2;
    lanes.enter(entry(lane, 1));
    lanes.enter(entry(lane, 6));
    expect(ids(lane)).toEqual([3, 5, 1, 6, 8]);
  });

  it("holds messages of one topic and key together, and each message without key apart", () => {
    const lanes = createLanes();
    expect(lanes.lane("orders", "k")).toBe(lanes.lane("orders", "k"));
    expect(lanes.lane("orders", "k")).not.toBe(lanes.lane("stock", "k"));
    expect(lanes.lane("orders", null)).not.toBe(lanes.lane("orders", null));
    expect(lanes.lane("orders", "null")).not.toBe(lanes.lane("orders", null));
  });
});

describe("what a lane does next", () => {
  it("is nothing while it is busy, looked up, or waits", () => {
    const { lanes, lane } = laneWith(1);
    expect(lanes.step(lane, "hold")).toBe("publish");
    lane.isBusy = true;
    expect(lanes.step(lane, "hold")).toBe("nothing");
    lane.isBusy = false;
    lane.lookUps = 1;
    expect(lanes.step(lane, "hold")).toBe("nothing");
    lane.lookUps = 0;
    lane.waitsUntilMs = 5;
    expect(lanes.step(lane, "hold")).toBe("nothing");
  });

  it("is nothing when it is empty", () => {
    const { lanes, lane } = laneWith();
    expect(lanes.step(lane, "hold")).toBe("nothing");
  });

  it("takes released rows of the dead letters before anything from the ledger", () => {
    const { lanes, lane } = laneWith(1);
    lane.hasReleased = true;
    lane.isOpen = true;
    expect(lanes.step(lane, "hold")).toBe("released");
  });

  it("holds behind a dead letter under `hold`, and publishes under `skip`", () => {
    const { lanes, lane } = laneWith(2);
    lane.isOpen = true;
    expect(lanes.step(lane, "hold")).toBe("hold");
    expect(lanes.step(lane, "skip")).toBe("publish");
  });

  it("holds behind held messages whatever the policy has become", () => {
    const { lanes, lane } = laneWith(2);
    lane.isOpen = true;
    lane.hasHeld = true;
    expect(lanes.step(lane, "skip")).toBe("hold");
  });

  it("never holds a message without key", () => {
    const lanes = createLanes();
    const lane = lanes.lane("orders", null);
    lanes.enter(entry(lane, 1));
    lane.isOpen = true;
    expect(lanes.step(lane, "hold")).toBe("publish");
  });

  it("brings bytes that are not in memory before it holds or publishes", () => {
    const { lanes, lane } = laneWith();
    lanes.enter(entry(lane, 1, { row: null }));
    lane.isOpen = true;
    expect(lanes.step(lane, "hold")).toBe("load");
  });

  it("gives an unreadable message up, but holds it behind a dead letter first", () => {
    const { lanes, lane } = laneWith();
    lanes.enter(entry(lane, 1, { unreadable: "emptyType" }));
    expect(lanes.step(lane, "hold")).toBe("giveUp");
    lane.isOpen = true;
    expect(lanes.step(lane, "hold")).toBe("hold");
  });
});

describe("the accounts of what is in memory", () => {
  it("follow entering, parking, loading and leaving", () => {
    const { lanes, lane } = laneWith(1, 2);
    const [first, second] = lane.entries as [Entry, Entry];
    const counts = (): number[] => [lanes.loadedCount, lanes.loadedBytes, lanes.parkedCount];
    expect(counts()).toEqual([2, 200, 0]);
    lanes.park(first);
    lanes.park(first);
    expect(counts()).toEqual([1, 100, 1]);
    expect(first.row).toBeNull();
    lanes.load(first, row(1), new Map());
    lanes.load(first, row(1), new Map());
    expect(counts()).toEqual([2, 200, 0]);
    expect([lanes.broughtCount, lanes.broughtBytes]).toEqual([1, 100]);
    lanes.park(second);
    lanes.leave(second);
    lanes.leave(second);
    lanes.leave(first);
    expect(counts()).toEqual([0, 0, 0]);
    expect([lanes.broughtCount, lanes.broughtBytes]).toEqual([0, 0]);
  });

  it("count a large payload that was left in the database as parked", () => {
    const { lanes, lane } = laneWith();
    lanes.enter(entry(lane, 1, { row: null, bytes: 1_000_000 }));
    expect([lanes.loadedCount, lanes.loadedBytes, lanes.parkedCount]).toEqual([0, 0, 1]);
  });
});

describe("settling a lane", () => {
  it("lists it once, and its topic", () => {
    const { lanes, lane } = laneWith(1);
    lanes.settle(lane);
    lanes.settle(lane);
    expect(lane.topic.ready).toEqual([lane]);
    expect([...lanes.readyTopics]).toEqual([lane.topic]);
  });

  it("lists none that waits, is busy, or waits for an answer", () => {
    const { lanes, lane } = laneWith(1);
    lane.waitsUntilMs = 5;
    lanes.settle(lane);
    lane.waitsUntilMs = 0;
    lane.isBusy = true;
    lanes.settle(lane);
    lane.isBusy = false;
    lane.lookUps = 1;
    lanes.settle(lane);
    expect(lane.topic.ready).toEqual([]);
  });

  it("lists an empty lane whose released rows are to be published", () => {
    const { lanes, lane } = laneWith();
    lane.hasReleased = true;
    lanes.settle(lane);
    expect(lane.topic.ready).toEqual([lane]);
  });

  it("forgets what is known about the dead letters of an idle lane, so that its next message asks again", () => {
    const { lanes, lane } = laneWith();
    lane.isOpen = true;
    lane.hasHeld = true;
    lanes.settle(lane);
    expect(lanes.lane("orders", "k")).toMatchObject({ isOpen: false, hasHeld: false });
  });

  it("keeps no message without key in memory once it is done", () => {
    const lanes = createLanes();
    const lane = lanes.lane("orders", null);
    const one = entry(lane, 1);
    lanes.enter(one);
    expect([...lanes.all()]).toEqual([lane]);
    lanes.leave(one);
    lanes.settle(lane);
    expect([...lanes.all()]).toEqual([]);
  });

  it("keeps no more than 10 000 idle lanes of a topic", () => {
    const lanes = createLanes();
    for (let key = 0; key < 12_000; key += 1) {
      const lane = lanes.lane("orders", `k${key}`);
      const one = entry(lane, key + 1);
      lanes.enter(one);
      lanes.leave(one);
      lanes.settle(lane);
    }
    expect([...lanes.all()].length).toBeLessThanOrEqual(10_001);
  });
});
