import { expect, test } from "vitest";
import { attemptOutcomes } from "./attempt-outcomes.ts";

test("failed attempts of which nothing more is heard are forgotten, the oldest first", () => {
  const outcomeOf = attemptOutcomes();
  for (let index = 0; index <= 10_000; index += 1)
    expect(outcomeOf({ name: "inbox.handlerFailed", messageId: String(index) })).toBe("failed");
  const retried = ["0", "1", "10000"].map((messageId) => outcomeOf({ name: "inbox.retrying", messageId }));
  expect(retried).toEqual([null, "retried", "retried"]);
});
