import { expect, test } from "vitest";
import { createLanes } from "./lanes.ts";

test("one lane runs in order, whatever fails; other lanes and messages without one do not wait", async () => {
  const lanes = createLanes();
  const log: string[] = [];
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const lane = { topic: "orders", key: "k" };
  const first = lanes.run(lane, async () => {
    await gate;
    log.push("first");
    throw new Error("no");
  });
  const second = lanes.run(lane, async () => {
    log.push("second");
  });
  await lanes.run({ topic: "orders", key: "other" }, async () => void log.push("other"));
  await lanes.run(null, async () => void log.push("none"));
  expect(log).toEqual(["other", "none"]);
  open();
  await expect(first).rejects.toThrow("no");
  await second;
  expect(log).toEqual(["other", "none", "first", "second"]);
});
