import { manualClock, seededRandom } from "@waybill/testing";
import { expect, test } from "vitest";
import { type Committer, createCommitter } from "./committer.ts";
import type { Generation, OffsetToCommit } from "./consumer-client.ts";
import { createPartitionBuffer, type PartitionBuffer } from "./partition-buffer.ts";

function fixture(commit: (offsets: readonly OffsetToCommit[]) => Promise<void> = () => Promise.resolve()) {
  const clock = manualClock();
  const sent: { readonly atMs: number; readonly next: readonly bigint[] }[] = [];
  const failed: string[] = [];
  const buffers: PartitionBuffer[] = [0, 1].map(() => createPartitionBuffer(0n, { windowMax: 10 }));
  const generation: Generation = {
    partitions: [],
    positions: () => Promise.resolve([]),
    resume: () => undefined,
    commit(offsets) {
      sent.push({ atMs: clock.monotonicMs(), next: offsets.map(({ next }) => next) });
      return commit(offsets);
    },
  };
  const committer: Committer = createCommitter({
    generation,
    partitions: () => buffers.map((buffer, partition) => ({ topic: "t", partition, buffer })),
    everyMs: 250,
    clock,
    random: seededRandom(1),
    onCommitted: () => undefined,
    onFailed: (reason) => failed.push(reason),
  });
  const settleTo = (partition: number, next: bigint): void => {
    buffers[partition]?.add([], next);
    committer.soon();
  };
  return { clock, sent, failed, committer, settleTo };
}

test("all partitions share a commit, at most one in 250 ms", async () => {
  const { clock, sent, settleTo } = fixture();
  settleTo(0, 1n);
  await clock.advance(0);
  settleTo(0, 2n);
  settleTo(1, 5n);
  await clock.advance(249);
  settleTo(0, 3n);
  await clock.advance(1_000);
  expect(sent).toEqual([
    { atMs: 0, next: [1n] },
    { atMs: 250, next: [3n, 5n] },
  ]);
});

test("while one is under way no other is sent by itself", async () => {
  let answer: () => void = () => undefined;
  const { clock, sent, settleTo } = fixture(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  settleTo(0, 1n);
  await clock.advance(0);
  settleTo(0, 2n);
  await clock.advance(5_000);
  expect(sent).toHaveLength(1);
  answer();
  await clock.advance(250);
  expect(sent).toHaveLength(2);
});

test("one that fails is reported and sent again with what was settled meanwhile", async () => {
  let isBroken = true;
  const { clock, sent, failed, settleTo, committer } = fixture(() => (isBroken ? Promise.reject(new Error("no")) : Promise.resolve()));
  settleTo(0, 1n);
  await clock.advance(0);
  expect(failed).toEqual(["unexpected"]);
  settleTo(0, 2n);
  isBroken = false;
  await clock.advance(10_000);
  expect(sent.map(({ next }) => next)).toEqual([[1n], [2n]]);
  expect(await committer.now(1_000)).toBe(true);
  expect(sent).toHaveLength(2);
});

test("one that is never answered is given up after its deadline, and sent again", async () => {
  const { clock, sent, failed, settleTo } = fixture(() => new Promise(() => undefined));
  settleTo(0, 1n);
  await clock.advance(10_000);
  expect(failed).toEqual(["deadline"]);
  await clock.advance(1_000);
  expect(sent).toHaveLength(2);
});

test("after its end nothing is sent by itself", async () => {
  const { clock, sent, settleTo, committer } = fixture();
  settleTo(0, 1n);
  committer.end();
  settleTo(0, 2n);
  await clock.advance(10_000);
  expect(sent).toEqual([]);
  expect(clock.timers).toBe(0);
});
