import type { ReceivedMessage } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { createPartitionBuffer, type PartitionBuffer, type TakenRecord } from "./partition-buffer.ts";

const done = { kind: "done" } as const;
const again = (afterMs: number) => ({ kind: "again", afterMs }) as const;

const message = (id: string, key: string | null): ReceivedMessage => ({
  id,
  type: "t",
  topic: "orders",
  key,
  headers: new Map(),
  payload: null,
  sequence: null,
  createdAtMs: null,
});

/** Records with these keys, from offset 0 on; 100 bytes each. */
function buffered(keys: readonly (string | null)[], windowMax = 100): PartitionBuffer {
  const buffer = createPartitionBuffer(0n, { windowMax });
  add(buffer, 0, keys);
  return buffer;
}

function add(buffer: PartitionBuffer, from: number, keys: readonly (string | null)[], next = from + keys.length): void {
  buffer.add(
    keys.map((key, place) => ({ offset: BigInt(from + place), message: message(`${from + place}`, key), bytes: 100 })),
    BigInt(next),
  );
}

function takeAll(buffer: PartitionBuffer, nowMs = 0): readonly TakenRecord[] {
  const taken: TakenRecord[] = [];
  for (let next = buffer.take(nowMs); next !== null; next = buffer.take(nowMs)) taken.push(next);
  return taken;
}

const offsets = (taken: readonly TakenRecord[]): readonly number[] => taken.map(({ offset }) => Number(offset));
const at = (taken: readonly TakenRecord[], offset: number): TakenRecord => {
  const found = taken.find((one) => one.offset === BigInt(offset));
  if (found === undefined) throw new Error(`offset ${offset} is not out`);
  return found;
};

describe("what goes out", () => {
  test("one record of a key at a time, and all without key", () => {
    const buffer = buffered(["a", "b", "a", null, null, "b"]);
    const first = takeAll(buffer);
    expect(offsets(first)).toEqual([0, 1, 3, 4]);
    buffer.settle(at(first, 0), done, 0);
    expect(offsets(takeAll(buffer))).toEqual([2]);
    expect(buffer.out).toBe(4);
  });

  test("a record that comes again waits its time, and its key waits with it", () => {
    const buffer = buffered(["a", "b", "a", "b"]);
    const first = takeAll(buffer);
    buffer.settle(at(first, 0), again(50), 1_000);
    buffer.settle(at(first, 1), done, 1_000);
    expect(offsets(takeAll(buffer, 1_049))).toEqual([3]);
    expect(buffer.nextDueMs(1_049)).toBe(1_050);
    expect(buffer.hasWaiting(1_049)).toBe(false);
    expect(buffer.hasWaiting(1_050)).toBe(true);
    expect(buffer.nextDueMs(1_050)).toBeNull();
    expect(offsets(takeAll(buffer, 1_050))).toEqual([0]);
  });

  test("a record that comes again goes before later ones", () => {
    const buffer = buffered([null, null, null]);
    const [zero] = [buffer.take(0)];
    buffer.settle(zero as TakenRecord, again(0), 0);
    expect(offsets(takeAll(buffer))).toEqual([0, 1, 2]);
  });

  test("records of a key that arrive later wait behind it", () => {
    const buffer = buffered(["a"]);
    const first = takeAll(buffer);
    add(buffer, 1, ["a", "b"]);
    expect(offsets(takeAll(buffer))).toEqual([2]);
    buffer.settle(at(first, 0), done, 0);
    expect(offsets(takeAll(buffer))).toEqual([1]);
  });
});

describe("what may be committed", () => {
  test("the end of the settled prefix, never beyond the first record that is not settled", () => {
    const buffer = buffered([null, null, null, null]);
    const taken = takeAll(buffer);
    expect(buffer.toCommit()).toBeNull();
    buffer.settle(at(taken, 1), done, 0);
    buffer.settle(at(taken, 3), done, 0);
    expect(buffer.toCommit()).toBeNull();
    buffer.settle(at(taken, 0), done, 0);
    expect(buffer.toCommit()?.next).toBe(2n);
    buffer.settle(at(taken, 2), again(5), 0);
    expect(buffer.toCommit()?.next).toBe(2n);
  });

  test("when all is settled, the end of what was received, marks of the broker included", () => {
    const buffer = createPartitionBuffer(10n, { windowMax: 100 });
    add(buffer, 10, [null, null], 15);
    for (const taken of takeAll(buffer)) buffer.settle(taken, done, 0);
    expect(buffer.toCommit()?.next).toBe(15n);
    buffer.add([], 20n);
    expect(buffer.toCommit()?.next).toBe(20n);
  });

  test("what was committed is not committed again", () => {
    const buffer = buffered([null, null]);
    const taken = takeAll(buffer);
    buffer.settle(at(taken, 0), done, 0);
    const prefix = buffer.toCommit();
    if (prefix === null) throw new Error("there is a prefix");
    buffer.committed(prefix);
    expect(buffer.toCommit()).toBeNull();
    buffer.settle(at(taken, 1), done, 0);
    expect(buffer.toCommit()?.next).toBe(2n);
  });
});

describe("the window", () => {
  test("nothing goes out that lies windowMax records or more beyond the last commit", () => {
    const buffer = buffered(
      Array.from({ length: 10 }, () => null),
      4,
    );
    const first = takeAll(buffer);
    expect(offsets(first)).toEqual([0, 1, 2, 3]);
    for (const taken of first) buffer.settle(taken, done, 0);
    expect(buffer.take(0)).toBeNull();
    expect(buffer.hasWaiting(0)).toBe(true);
    const prefix = buffer.toCommit();
    if (prefix === null) throw new Error("there is a prefix");
    buffer.committed(prefix);
    expect(offsets(takeAll(buffer))).toEqual([4, 5, 6, 7]);
  });

  test("it counts records, not offsets: a compacted log has few of them", () => {
    const buffer = createPartitionBuffer(0n, { windowMax: 2 });
    buffer.add([{ offset: 1_000n, message: message("a", null), bytes: 1 }], 2_000n);
    buffer.add([{ offset: 9_000n, message: message("b", null), bytes: 1 }], 9_001n);
    expect(takeAll(buffer)).toHaveLength(2);
  });

  test("of the first windowMax nobody can tell whether they were delivered before; those after them were not", () => {
    const buffer = buffered([null, null, null, null], 2);
    const first = takeAll(buffer);
    expect(first.map(({ redelivered }) => redelivered)).toEqual([null, null]);
    for (const taken of first) buffer.settle(taken, done, 0);
    buffer.committed(buffer.toCommit() ?? { next: 0n, ordinal: 0 });
    expect(takeAll(buffer).map(({ redelivered }) => redelivered)).toEqual([false, false]);
  });

  test("what comes again was delivered before", () => {
    const buffer = buffered([null]);
    buffer.settle(takeAll(buffer)[0] as TakenRecord, again(0), 0);
    expect(takeAll(buffer)[0]?.redelivered).toBe(true);
  });
});

test("bytes and records are those that are not settled", () => {
  const buffer = buffered(["a", "a", "b"]);
  expect([buffer.bytes, buffer.records]).toEqual([300, 3]);
  const taken = takeAll(buffer);
  expect(buffer.settle(at(taken, 2), done, 0)).toBe(100);
  expect(buffer.settle(at(taken, 0), again(1), 0)).toBe(0);
  expect([buffer.bytes, buffer.records]).toEqual([200, 2]);
});

test("a record is settled once", () => {
  const buffer = buffered([null]);
  const [taken] = takeAll(buffer);
  buffer.settle(taken as TakenRecord, done, 0);
  expect(() => buffer.settle(taken as TakenRecord, done, 0)).toThrow();
});

test("a hundred thousand records go through, whatever order they are settled in", () => {
  const buffer = createPartitionBuffer(0n, { windowMax: 1_000 });
  const settled = new Map<string, number>();
  let order = true;
  const taken: TakenRecord[] = [];
  let state = 1;
  const random = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  for (let n = 0; n < 100_000; n += 100)
    add(
      buffer,
      n,
      Array.from({ length: 100 }, (_, place) => (place % 3 === 0 ? null : `k${Math.floor(random() * 50)}`)),
    );
  while (buffer.records > 0) {
    for (let next = taken.length < 64 ? buffer.take(0) : null; next !== null; next = taken.length < 64 ? buffer.take(0) : null)
      taken.push(next);
    const place = Math.floor(random() * taken.length);
    const [one] = taken.splice(place, 1) as [TakenRecord];
    buffer.settle(one, random() < 0.01 ? again(0) : done, 0);
    const { key } = one.message;
    if (key !== null) {
      order &&= (settled.get(key) ?? -1) <= Number(one.offset);
      settled.set(key, Number(one.offset));
    }
    const prefix = buffer.toCommit();
    if (prefix !== null && random() < 0.1) buffer.committed(prefix);
    if (taken.length === 0 && prefix !== null) buffer.committed(prefix);
  }
  expect(order).toBe(true);
  expect(buffer.toCommit()?.next ?? 100_000n).toBe(100_000n);
  expect(buffer.bytes).toBe(0);
});
