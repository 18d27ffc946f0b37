import { expect, test } from "vitest";
import { readOptions, UsageError } from "./options.ts";

test("a thousand orders and a seed of chance are the default", () => {
  expect(readOptions([])).toMatchObject({ orders: 1_000, isJson: false, databaseUrl: null });
  expect(readOptions([])?.seed).not.toBe(readOptions([])?.seed);
});

test("every option is read", () => {
  const url = "postgres://postgres@127.0.0.1/postgres";
  expect(readOptions(["--orders", "60", "--seed", "7", "--json", "--database", url])).toEqual({
    orders: 60,
    seed: 7,
    isJson: true,
    databaseUrl: url,
  });
  expect(readOptions(["--help"])).toBeNull();
});

test("what is no number, out of range or unknown is wrong usage", () => {
  for (const args of [
    ["--orders", "many"],
    ["--orders", "0"],
    ["--orders", "1e3"],
    ["--seed", "-1"],
    ["--seed", "4294967296"],
    ["--order", "60"],
    ["60"],
  ]) {
    expect(() => readOptions(args)).toThrow(UsageError);
  }
});
