import { expect, it } from "vitest";
import { createLanes, type Entry } from "./lanes.ts";
import { createProgress, type Progress } from "./progress.ts";

const lane = createLanes().lane("orders", "k");
const entry = (id: bigint): Entry => ({
  id,
  isFinished: false,
  lane,
  messageId: `m${id}`,
  createdAtMs: 0,
  row: null,
  bytes: 0,
  headers: new Map(),
  unreadable: null,
  attempts: 0,
  mayBeStored: false,
  isBrought: false,
  isAwaited: false,
  isSpilled: false,
});

/** Everything but a confirm has happened. */
function triedAll(): Progress {
  const progress = createProgress(new Map());
  progress.storedWereRead();
  progress.spilledWereListed();
  progress.releasedWereTried();
  return progress;
}

it("a holder that confirmed nothing got nowhere", () => {
  expect(triedAll().hasProgressed).toBe(false);
});

it("a confirmed neighbour is not enough: every stored message must have had an outcome", () => {
  const progress = triedAll();
  const [killer, neighbour] = [entry(1n), entry(2n)];
  progress.await(killer);
  progress.await(neighbour);
  progress.settled(neighbour);
  progress.confirmed();
  expect(progress.hasProgressed).toBe(false);
  progress.settled(killer);
  expect(progress.hasProgressed).toBe(true);
});

it("stored messages that were not read yet, spilled ones not found yet, and released ones not tried yet, stand in the way", () => {
  const steps = ["confirmed", "storedWereRead", "spilledWereListed", "releasedWereTried"] as const;
  for (const missing of steps) {
    const progress = createProgress(new Map());
    for (const step of steps) if (step !== missing) progress[step]();
    expect([missing, progress.hasProgressed]).toEqual([missing, false]);
    progress[missing]();
    expect(progress.hasProgressed).toBe(true);
  }
});

it("a message that settles twice counts once", () => {
  const progress = triedAll();
  const [one, other] = [entry(1n), entry(2n)];
  progress.await(one);
  progress.await(other);
  progress.confirmed();
  progress.settled(one);
  progress.settled(one);
  expect(progress.hasProgressed).toBe(false);
});

it("any outcome clears a message of its deaths, and nothing else does", () => {
  const progress = createProgress(
    new Map([
      [4n, 2],
      [5n, 1],
    ]),
  );
  progress.aloneWith(4n);
  progress.survived(5n);
  expect(progress.soloId).toBe(4n);
  expect(progress.deaths).toEqual(new Map([[4n, 2]]));
  progress.survived(4n);
  expect(progress.soloId).toBeNull();
  expect(progress.deaths.size).toBe(0);
});
