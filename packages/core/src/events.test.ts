import { expect, test } from "vitest";
import { emit, type WaybillEvent } from "./events.ts";

const event: WaybillEvent = { name: "sql.connectionLost", code: "57P01" };

test("a listener hears the event before emit returns", () => {
  const heard: WaybillEvent[] = [];
  emit((each) => heard.push(each), event);
  expect(heard).toEqual([event]);
});

test("a listener that throws or rejects disturbs nobody", async () => {
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  process.on("unhandledRejection", onRejection);
  emit(() => {
    throw new Error("the listener's fault");
  }, event);
  emit((() => Promise.reject(new Error("the listener's fault"))) as () => void, event);
  // Unhandled rejections are reported when the microtasks are done, before the next macrotask.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

test("without a listener nothing happens", () => {
  expect(() => emit(undefined, event)).not.toThrow();
});
