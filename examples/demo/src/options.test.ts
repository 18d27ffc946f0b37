import { expect, test } from "vitest";
import { readOptions, UsageError } from "./options.ts";

test("a thousand orders, a seed of chance, PostgreSQL and HTTP are the default", () => {
  expect(readOptions([])).toMatchObject({
    isHalfMessage: false,
    orders: 1_000,
    isJson: false,
    database: { server: "postgres" },
    broker: "http",
  });
  expect(readOptions([])?.seed).not.toBe(readOptions([])?.seed);
});

test("every option is read", () => {
  const url = "mysql://root@127.0.0.1:3306";
  expect(readOptions(["--orders", "60", "--seed", "7", "--json", "--database", url, "--broker", "kafka://127.0.0.1:9092"])).toEqual({
    isHalfMessage: false,
    orders: 60,
    seed: 7,
    isJson: true,
    database: { url },
    broker: { url: "kafka://127.0.0.1:9092" },
  });
  expect(readOptions(["--database", "mariadb", "--broker", "rabbitmq"])).toMatchObject({
    database: { server: "mariadb" },
    broker: { server: "rabbitmq" },
  });
  expect(readOptions(["--help"])).toBeNull();
});

test("half messages have defaults of their own, and no broker", () => {
  expect(readOptions(["--half-message"])).toMatchObject({
    isHalfMessage: true,
    orders: 200,
    database: { server: "mariadb", orElse: "postgres" },
  });
  expect(readOptions(["--half-message", "--database", "mysql"])?.database).toEqual({ server: "mysql" });
  expect(() => readOptions(["--half-message", "--broker", "kafka"])).toThrow(UsageError);
  expect(() => readOptions(["--half-message", "--orders", "60"])).toThrow(UsageError);
});

test("what is no number, out of range or unknown is wrong usage", () => {
  for (const args of [
    ["--orders", "many"],
    ["--orders", "0"],
    ["--orders", "1e3"],
    ["--seed", "-1"],
    ["--seed", "4294967296"],
    ["--order", "60"],
    ["--database", "oracle"],
    ["--database", "sqlite://file"],
    ["--broker", "nats"],
    ["--broker", "http://localhost"],
    ["60"],
  ]) {
    expect(() => readOptions(args)).toThrow(UsageError);
  }
});
