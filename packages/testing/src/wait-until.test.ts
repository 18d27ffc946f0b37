import { expect, it } from "vitest";
import { waitUntil } from "./wait-until.ts";

it("the first answer that is neither false, null nor undefined ends the wait", async () => {
  const answers = [false, null, undefined, 0];
  expect(await waitUntil(() => answers.shift(), { what: "there is an answer", intervalMs: 1 })).toBe(0);
  expect(answers).toEqual([]);
});

it("a wait in vain says what was waited for", async () => {
  await expect(waitUntil(() => false, { what: "pigs fly", deadlineMs: 20 })).rejects.toThrow("Waited 20 ms in vain until pigs fly.");
});

it("a condition that never settles is given up at the deadline", async () => {
  await expect(waitUntil(() => new Promise<boolean>(() => undefined), { what: "it settles", deadlineMs: 20 })).rejects.toThrow("in vain");
});

it("a condition that throws ends the wait with its error", async () => {
  await expect(waitUntil(() => Promise.reject(new Error("broken")), { what: "it works" })).rejects.toThrow("broken");
});
