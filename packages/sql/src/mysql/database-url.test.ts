import { inspect } from "node:util";
import { isWaybillError, secret } from "@waybill/core";
import { expect, test } from "vitest";
import { openDatabase } from "../open-database.ts";
import { readDatabaseUrl } from "./database-url.ts";

const plain = {
  host: "db.example",
  port: 3306,
  user: "",
  password: "",
  database: "shop",
  socket: null,
  sslMode: "disabled",
  sslCa: null,
  sslCert: null,
  sslKey: null,
};
const problemsOf = (url: string): string => {
  try {
    openDatabase({ url });
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
    return error.facts.problems.map(({ problem }) => problem).join(" | ");
  }
  return "none";
};

test.each([
  ["mysql://db.example/shop", plain],
  ["mariadb://db.example/shop", plain],
  ["mysql://u%40x:p%3Aw@db.example:3307/shop", { ...plain, user: "u@x", password: "p:w", port: 3307 }],
  ["mysql://[::1]/shop", { ...plain, host: "::1" }],
  ["mysql://root@localhost", { ...plain, host: "localhost", user: "root", database: null }],
  [
    "mysql://u@localhost/shop?socket=/run/mysqld/mysqld.sock",
    { ...plain, host: "localhost", user: "u", socket: "/run/mysqld/mysqld.sock" },
  ],
  ["mysql://db.example/shop?ssl-mode=verify-identity&ssl-ca=/ca.pem", { ...plain, sslMode: "verify-identity", sslCa: "/ca.pem" }],
  [
    "mysql://127.0.0.1/shop?ssl-mode=verify-ca&ssl-cert=/c.pem&ssl-key=/k.pem",
    { ...plain, host: "127.0.0.1", sslMode: "verify-ca", sslCert: "/c.pem", sslKey: "/k.pem" },
  ],
])("%s is read", (url, address) => {
  expect(readDatabaseUrl(url)).toEqual(address);
  expect(readDatabaseUrl(secret(url))).toEqual(address);
});

test.each([
  ["a malformed port", "mysql://user:canary@localhost:port/shop", /malformed/],
  ["a password that is not encoded", "mysql://user:canary%zz@localhost/shop", /malformed/],
  ["M10 an option of the driver", "mysql://u:canary@localhost/shop?multipleStatements=true", /1 unknown parameter.*accepted are ssl-mode/],
  ["M10 a prototype's name", "mysql://u:canary@localhost/shop?__proto__=canary", /unknown parameter/],
  ["another mode of TLS", "mysql://localhost/shop?ssl-mode=preferred", /one of disabled, required, verify-ca, verify-identity/],
  ["files of TLS without a mode", "mysql://localhost/shop?ssl-ca=/canary.pem", /no ssl-mode/],
  ["a certificate without its key", "mysql://localhost/shop?ssl-mode=required&ssl-cert=/canary.pem", /together/],
  ["an identity to verify at an address", "mysql://127.0.0.1/shop?ssl-mode=verify-identity", /by its name/],
  ["a parameter given twice", "mysql://localhost/shop?ssl-mode=required&ssl-mode=disabled", /twice/],
  ["two names of a database", "mysql://localhost/shop/canary", /one name/],
  ["no host", "mysql:///shop", /no host/],
])("%s is refused and never shown", (_, url, problem) => {
  expect(problemsOf(url)).toMatch(problem);
});

test("a file of TLS that cannot be read is a configuration error, without its path", async () => {
  const database = openDatabase({ url: "mysql://localhost:1/shop?ssl-mode=verify-ca&ssl-ca=/nowhere/canary.pem" });
  const error = await database.query("select 1", []).catch((caught: unknown) => caught);
  expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID") && error.facts.problems[0]?.option).toBe("ssl-ca");
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
  await database.close();
});
