import { describe, expect, test } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const date = "Wed, 21 Oct 2015 07:28:00 GMT";

describe("Retry-After", () => {
  test.each([
    ["0", 0],
    ["1", 1_000],
    ["3600", 3_600_000],
    ["3601", 3_600_000],
    ["999999999", 3_600_000],
  ])("%s seconds are %i ms, an hour at most", (text, expected) => {
    expect(retryAfterMs(text, undefined)).toBe(expected);
  });

  test.each([
    ["Wed, 21 Oct 2015 07:28:30 GMT", 30_000],
    ["Wed, 21 Oct 2015 07:27:00 GMT", 0],
    ["Thu, 22 Oct 2015 07:28:00 GMT", 3_600_000],
  ])("a date is compared with the response's own: %s", (text, expected) => {
    expect(retryAfterMs(text, date)).toBe(expected);
  });

  test("a date without the response's own says nothing, for our clock may be wrong", () => {
    expect(retryAfterMs(date, undefined)).toBeNull();
    expect(retryAfterMs(date, "yesterday")).toBeNull();
  });

  test.each([undefined, "", "soon", "-1", "1.5", "1e3", "99999999999999"])("%j says nothing", (text) => {
    expect(retryAfterMs(text, date)).toBeNull();
  });
});
