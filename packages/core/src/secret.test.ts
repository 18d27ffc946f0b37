import { inspect } from "node:util";
import { expect, test } from "vitest";
import { secret } from "./secret.ts";

test("a secret shows itself only when asked", () => {
  const hidden = secret("open sesame");
  expect(hidden.reveal()).toBe("open sesame");
  const shown = [
    String(hidden),
    [hidden].join(),
    JSON.stringify({ hidden }),
    inspect({ hidden }),
    inspect(hidden, { depth: 9, showHidden: true }),
  ];
  for (const text of shown) {
    expect(text).toContain("[redacted]");
    expect(text).not.toContain("sesame");
  }
  expect(Object.values(hidden).map(String).join()).not.toContain("sesame");
});
