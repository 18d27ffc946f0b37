import { hasId } from "@waybill/outbox";
import { describe, expect, it } from "vitest";
import { createCursor, type OpenId } from "./cursor.ts";

const open = (id: number): OpenId => ({ id: BigInt(id), isFinished: false });
const opened = (...ids: number[]): OpenId[] => ids.map(open);
const range = (low: number, high = low): { low: bigint; high: bigint } => ({ low: BigInt(low), high: BigInt(high) });
const fresh = (lastId = 0): ReturnType<typeof createCursor> => createCursor({ lastId: BigInt(lastId), ranges: [] });

describe("a cursor", () => {
  it("takes ids that a batch skips for holes, the first one after the last id included", () => {
    const cursor = fresh(10);
    cursor.apply(opened(12, 13, 17));
    expect(cursor.lastId).toBe(17n);
    expect(cursor.holes).toEqual([range(11), range(14, 16)]);
    expect(cursor.openCount).toBe(3);
  });

  it("saves holes and open ids together, merged", () => {
    const cursor = fresh();
    cursor.apply(opened(1, 3, 4, 7));
    expect(cursor.snapshot()).toEqual({ lastId: 7n, ranges: [range(1, 7)] });
  });

  it("saves nothing but the last id once everything before it is finished", () => {
    const cursor = fresh();
    const [first, second] = opened(1, 2) as [OpenId, OpenId];
    cursor.apply([first, second]);
    cursor.finish(second);
    expect(cursor.snapshot()).toEqual({ lastId: 2n, ranges: [range(1)] });
    cursor.finish(first);
    expect(cursor.snapshot()).toEqual({ lastId: 2n, ranges: [] });
    expect(cursor.openCount).toBe(0);
  });

  it("keeps an id that came out of a hole until it is finished", () => {
    const cursor = fresh();
    cursor.apply(opened(5));
    const late = open(3);
    cursor.apply([late, open(6)]);
    expect(cursor.holes).toEqual([range(1, 2), range(4)]);
    expect(cursor.snapshot()).toEqual({ lastId: 6n, ranges: [range(1, 6)] });
    cursor.finish(late);
    expect(cursor.snapshot()).toEqual({ lastId: 6n, ranges: [range(1, 2), range(4, 6)] });
  });

  it("reads all saved ranges again after it was saved and begun anew", () => {
    const cursor = createCursor({ lastId: 9n, ranges: [range(2, 4), range(8)] });
    expect(cursor.holes).toEqual([range(2, 4), range(8)]);
    cursor.apply(opened(3));
    expect(cursor.holes).toEqual([range(2), range(4), range(8)]);
    expect(cursor.lastId).toBe(9n);
  });

  it("forgets what is proved dead, and no id that is open", () => {
    const cursor = fresh();
    cursor.apply(opened(4));
    cursor.apply(opened(2));
    cursor.forget([range(1, 3)]);
    expect(cursor.holes).toEqual([]);
    expect(cursor.snapshot()).toEqual({ lastId: 4n, ranges: [range(2), range(4)] });
  });

  it("makes a hole again of an id whose row was not there when it was read once more", () => {
    const cursor = fresh();
    const [first, second] = opened(1, 2) as [OpenId, OpenId];
    cursor.apply([first, second]);
    cursor.giveBack(first);
    expect([cursor.holes, cursor.openCount]).toEqual([[range(1)], 1]);
    expect(cursor.snapshot().ranges).toEqual([range(1, 2)]);
  });

  it("counts an id once, however often it is finished", () => {
    const cursor = fresh();
    const one = open(1);
    cursor.apply([one, open(2)]);
    cursor.finish(one);
    cursor.finish(one);
    expect(cursor.openCount).toBe(1);
  });

  it("names the open id that was read first", () => {
    const cursor = fresh();
    const [first, second] = opened(1, 2) as [OpenId, OpenId];
    expect(cursor.oldestOpen()).toBeNull();
    cursor.apply([first, second]);
    cursor.finish(first);
    expect(cursor.oldestOpen()).toBe(second);
  });

  it("refuses ids that do not ascend", () => {
    expect(() => fresh().apply(opened(2, 1))).toThrow("must ascend");
    expect(() => fresh().apply(opened(2, 2))).toThrow("must ascend");
  });

  it("refuses an id at or below the last one that is no hole: it was read before", () => {
    const cursor = fresh();
    cursor.apply(opened(1, 3));
    expect(() => cursor.apply(opened(1))).toThrow("no hole");
    expect(() => cursor.apply(opened(3, 4))).toThrow("no hole");
  });

  it("stays right while thousands of ids are finished and swept", () => {
    const cursor = fresh();
    const ids = Array.from({ length: 5_000 }, (_, index) => open(index + 1));
    cursor.apply(ids);
    for (const one of ids) if (one.id % 10n !== 0n) cursor.finish(one);
    expect(cursor.openCount).toBe(500);
    expect(cursor.oldestOpen()?.id).toBe(10n);
    expect(cursor.snapshot().ranges).toEqual(Array.from({ length: 500 }, (_, index) => range((index + 1) * 10)));
  });
});

/** Numbers that repeat with their seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/**
 * A ledger of 60 ids, each of which becomes visible at some step or never. A reader reads, finishes, forgets and is killed: then it
 * begins again with one of the snapshots it took since it last began – any of them, for a save may be late or lost.
 */
function runSchedule(seed: number): void {
  const pick = numbers(seed);
  const count = 60;
  const visible = new Set<number>();
  const dead = new Set<number>();
  const finished = new Set<bigint>();
  const isDone = (id: bigint): boolean => finished.has(id) || dead.has(Number(id));
  let cursor = fresh();
  let inHand: OpenId[] = [];
  let saves = [cursor.snapshot()];

  const check = (): void => {
    for (const saved of saves) {
      for (let id = 1n; id <= saved.lastId; id += 1n)
        if (!isDone(id) && !hasId(saved.ranges, id)) throw new Error(`seed ${seed}: id ${id} is in no range of a save and not done`);
      for (const { high } of saved.ranges) if (high > saved.lastId) throw new Error(`seed ${seed}: a range above the last id`);
    }
  };

  for (let step = 0; step < 200; step += 1) {
    switch (pick(7)) {
      case 0:
      case 1: {
        // Somebody commits or rolls back: any id that was handed out may be next.
        const id = 1 + pick(count);
        if (dead.has(id)) break;
        if (pick(5) === 0 && !visible.has(id)) dead.add(id);
        else visible.add(id);
        break;
      }
      case 2:
      case 3: {
        const unread = [...visible].map(BigInt).filter((id) => id > cursor.lastId || hasId(cursor.holes, id));
        const batch = unread
          .sort((left, right) => (left < right ? -1 : 1))
          .slice(0, 1 + pick(8))
          .map((id) => ({ id, isFinished: false }));
        cursor.apply(batch);
        inHand.push(...batch);
        break;
      }
      case 4: {
        const [one] = inHand.splice(pick(Math.max(1, inHand.length)), 1);
        if (one === undefined) break;
        finished.add(one.id);
        cursor.finish(one);
        break;
      }
      case 5: {
        const proved = [...dead].map(BigInt).filter((id) => hasId(cursor.holes, id));
        const [one] = proved.splice(pick(Math.max(1, proved.length)), 1);
        if (one !== undefined) cursor.forget([{ low: one, high: one }]);
        break;
      }
      case 6: {
        saves.push(cursor.snapshot());
        if (pick(4) > 0) break;
        const saved = saves[pick(saves.length)];
        if (saved === undefined) break;
        cursor = createCursor(saved);
        inHand = [];
        saves = [saved];
        break;
      }
    }
    check();
  }

  // Nothing is lost: what became visible is finished in the end.
  for (;;) {
    const unread = [...visible]
      .map(BigInt)
      .filter((id) => id > cursor.lastId || hasId(cursor.holes, id))
      .sort((left, right) => (left < right ? -1 : 1));
    if (unread.length === 0) break;
    const batch = unread.slice(0, 10).map((id) => ({ id, isFinished: false }));
    cursor.apply(batch);
    for (const one of batch) {
      finished.add(one.id);
      cursor.finish(one);
    }
  }
  for (const one of inHand) finished.add(one.id);
  for (const id of visible) if (!finished.has(BigInt(id))) throw new Error(`seed ${seed}: id ${id} was never read`);
}

describe("a cursor under any schedule of commits, reads, confirms, saves and crashes", () => {
  it("names in every save all that is neither finished nor dead, and loses nothing by beginning again with any of them", () => {
    for (let seed = 1; seed <= 300; seed += 1) runSchedule(seed);
  });
});
