import { describe, expect, test } from "vitest";
import { parseAdmin } from "./admin-server.ts";

describe("where the admin server listens", () => {
  test.each([
    ["127.0.0.1:7410", { host: "127.0.0.1", port: 7_410 }],
    ["0.0.0.0:0", { host: "0.0.0.0", port: 0 }],
    ["[::1]:7410", { host: "::1", port: 7_410 }],
    ["localhost:65535", { host: "localhost", port: 65_535 }],
    ["off", null],
  ])("%s", (text, expected) => {
    expect(parseAdmin(text)).toEqual(expected);
  });

  test.each(["", "7410", ":7410", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:7410", "[x]:1", "http://127.0.0.1:1", "on"])(
    "%j is no place",
    (text) => {
      expect(parseAdmin(text)).toBeUndefined();
    },
  );
});
