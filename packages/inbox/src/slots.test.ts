import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createSlots } from "./slots.ts";

const never = new AbortController().signal;
/** Lets everything that is ready run. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

test("as many run as there are places, in the order in which they came", async () => {
  const slots = createSlots(2);
  const started: number[] = [];
  const releases: (() => void)[] = [];
  const callers = [1, 2, 3, 4].map(async (caller) => {
    const release = await slots.take("shared", never);
    started.push(caller);
    releases.push(release ?? (() => undefined));
  });
  await settle();
  expect(started).toEqual([1, 2]);
  releases[0]?.();
  releases[0]?.();
  await settle();
  expect(started).toEqual([1, 2, 3]);
  releases[1]?.();
  await Promise.all(callers);
  expect(started).toEqual([1, 2, 3, 4]);
});

test("one that is alone waits for all others, and is not overtaken", async () => {
  const slots = createSlots(8);
  const started: string[] = [];
  const take = async (name: string, company: "shared" | "alone"): Promise<(() => void) | null> => {
    const release = await slots.take(company, never);
    started.push(name);
    return release;
  };
  const first = await take("first", "shared");
  const alone = take("alone", "alone");
  const later = take("later", "shared");
  await settle();
  expect(started).toEqual(["first"]);
  first?.();
  const releaseAlone = await alone;
  await settle();
  expect(started).toEqual(["first", "alone"]);
  releaseAlone?.();
  await later;
  expect(started).toEqual(["first", "alone", "later"]);
});

test("who waits when everything stops gets no place, and whoever is behind goes on", async () => {
  const slots = createSlots(1);
  const first = await slots.take("shared", never);
  const stop = new AbortController();
  const stopped = slots.take("alone", stop.signal);
  const behind = slots.take("shared", never);
  stop.abort();
  expect(await stopped).toBe(null);
  expect(await slots.take("shared", stop.signal)).toBe(null);
  first?.();
  expect(await behind).not.toBe(null);
});

test("however many wait under a signal, it has one listener, and none when nobody waits any more", async () => {
  const slots = createSlots(1);
  const first = await slots.take("shared", never);
  const [stop, other] = [new AbortController(), new AbortController()];
  const listeners = () => [stop, other].map(({ signal }) => getEventListeners(signal, "abort").length);
  const stopped = Array.from({ length: 20 }, () => slots.take("shared", stop.signal));
  const behind = slots.take("shared", other.signal);
  expect(listeners()).toEqual([1, 1]);
  stop.abort();
  expect(await Promise.all(stopped)).toEqual(stopped.map(() => null));
  first?.();
  (await behind)?.();
  expect(listeners()).toEqual([0, 0]);
});
