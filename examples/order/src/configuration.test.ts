import { isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";

function problemsOf(environment: Record<string, string>): string[] {
  try {
    readConfiguration(environment);
    return [];
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return error.facts.problems.map(({ option }) => option);
  }
}

test("a database is enough", () => {
  expect(readConfiguration({ DATABASE_URL: "postgres://shop" })).toMatchObject({ host: "127.0.0.1", port: 3001, signingSecrets: [] });
});

test("everything that is wrong is reported at once, without the secrets", () => {
  expect(problemsOf({ PORT: "http", SIGNING_SECRETS: "whsec_short", DATABASE_URL_FILE: "/nowhere" })).toEqual([
    "PORT",
    "DATABASE_URL_FILE",
    "SIGNING_SECRETS",
  ]);
  expect(problemsOf({ DATABASE_URL: "postgres://a", DATABASE_URL_FILE: "/nowhere" })).toEqual(["DATABASE_URL"]);
  expect(problemsOf({})).toEqual(["DATABASE_URL"]);
});

test("beyond the loopback a signing secret is needed", () => {
  expect(problemsOf({ DATABASE_URL: "postgres://a", HOST: "0.0.0.0" })).toEqual(["SIGNING_SECRETS"]);
  const secrets = `whsec_${Buffer.alloc(24, 1).toString("base64")} whsec_${Buffer.alloc(24, 2).toString("base64")}`;
  expect(readConfiguration({ DATABASE_URL: "postgres://a", HOST: "0.0.0.0", SIGNING_SECRETS: secrets }).signingSecrets).toHaveLength(2);
});

test("payments are acknowledged with a key, or there are none", () => {
  const given = { DATABASE_URL: "postgres://a", HALF_MESSAGE_URL: "http://127.0.0.1:7420", HALF_MESSAGE_KEY: "k" };
  expect(readConfiguration(given).halfMessages).toMatchObject({ url: "http://127.0.0.1:7420", keyId: "order-1" });
  expect(readConfiguration({ DATABASE_URL: "postgres://a" }).halfMessages).toBeNull();
  expect(problemsOf({ DATABASE_URL: "postgres://a", HALF_MESSAGE_URL: "ftp://x" })).toEqual(["HALF_MESSAGE_URL", "HALF_MESSAGE_KEY"]);
  expect(problemsOf({ DATABASE_URL: "postgres://a", HALF_MESSAGE_KEY: "k" })).toEqual(["HALF_MESSAGE_KEY"]);
});

test("alerts go somewhere, or their secrets are of no use", () => {
  const whsec = `whsec_${"a".repeat(32)}`;
  const { alerts } = readConfiguration({ DATABASE_URL: "postgres://a", ALERT_URL: "https://alerts.example/", ALERT_SECRETS: whsec });
  expect([alerts?.url.reveal(), alerts?.secrets.length]).toEqual(["https://alerts.example/", 1]);
  expect(problemsOf({ DATABASE_URL: "postgres://a", ALERT_SECRETS: whsec })).toEqual(["ALERT_SECRETS"]);
  expect(readConfiguration({ DATABASE_URL: "postgres://a" }).alerts).toBeUndefined();
});

test("a printed configuration shows no secret", () => {
  expect(JSON.stringify(readConfiguration({ DATABASE_URL: "postgres://shop:sesame@db" }))).not.toContain("sesame");
});
