import { isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";

const checkSecret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
const needed = { DATABASE_URL: "mysql://pay", HALF_MESSAGE_KEY: "k", CHECK_SECRET: checkSecret };

function problemsOf(environment: Record<string, string>): string[] {
  try {
    readConfiguration(environment);
    return [];
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return error.facts.problems.map(({ option }) => option);
  }
}

test("a database and two secrets are enough", () => {
  expect(readConfiguration(needed)).toMatchObject({
    host: "127.0.0.1",
    port: 3003,
    halfMessages: { url: "http://127.0.0.1:7420", keyId: "payments-1", checkAfterMs: 10_000 },
  });
});

test("everything that is wrong is reported at once, without the secrets", () => {
  expect(problemsOf({})).toEqual(["DATABASE_URL", "HALF_MESSAGE_KEY", "CHECK_SECRET"]);
  expect(
    problemsOf({
      PORT: "http",
      DATABASE_URL_FILE: "/nowhere",
      HALF_MESSAGE_URL: "ftp://x",
      HALF_MESSAGE_KEY: "k",
      CHECK_SECRET: "short",
      CHECK_AFTER_MS: "soon",
    }),
  ).toEqual(["PORT", "DATABASE_URL_FILE", "HALF_MESSAGE_URL", "CHECK_SECRET", "CHECK_AFTER_MS"]);
  expect(problemsOf({ ...needed, DATABASE_URL_FILE: "/nowhere" })).toEqual(["DATABASE_URL"]);
});

test("a printed configuration shows no secret", () => {
  const text = JSON.stringify(readConfiguration({ ...needed, DATABASE_URL: "mysql://pay:sesame@db", HALF_MESSAGE_KEY: "open-sesame" }));
  expect(text).not.toContain("sesame");
  expect(text).not.toContain(checkSecret);
});
