import { expect, test, vi } from "vitest";
import { isWaybillError, throwConfigProblems, WaybillError, waybillError } from "./errors.ts";

test("an error carries its code, facts and cause", () => {
  const cause = new Error("socket closed");
  const error = waybillError("WAYBILL_DEADLINE", "Gave up.", { operation: "publish", deadlineMs: 500 }, cause);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: "WaybillError",
    code: "WAYBILL_DEADLINE",
    message: "Gave up.",
    facts: { operation: "publish", deadlineMs: 500 },
  });
  expect(error.cause).toBe(cause);
  expect("cause" in waybillError("WAYBILL_DEADLINE", "Gave up.", { operation: "publish", deadlineMs: 500 })).toBe(false);
});

test("recognising an error asks for its brand and, if given, its code", () => {
  const error = waybillError("WAYBILL_UNIT_POISONED", "Roll back.", { operation: "query" });
  expect(isWaybillError(error)).toBe(true);
  expect(isWaybillError(error, "WAYBILL_UNIT_POISONED")).toBe(true);
  expect(isWaybillError(error, "WAYBILL_DATABASE")).toBe(false);
  for (const other of [
    Object.assign(new Error("x"), { code: "WAYBILL_UNIT_POISONED" }),
    { code: "WAYBILL_UNIT_POISONED" },
    null,
    undefined,
    "x",
  ]) {
    expect(isWaybillError(other)).toBe(false);
  }
});

test("two installed copies of the package recognise each other's errors", async () => {
  vi.resetModules();
  const copy = await import("./errors.ts");
  expect(copy.WaybillError).not.toBe(WaybillError);
  expect(isWaybillError(copy.waybillError("WAYBILL_UNIT_POISONED", "Roll back.", { operation: "query" }), "WAYBILL_UNIT_POISONED")).toBe(
    true,
  );
  expect(copy.isWaybillError(waybillError("WAYBILL_UNIT_POISONED", "Roll back.", { operation: "query" }))).toBe(true);
});

test("the brand is not among an error's own properties that logs print", () => {
  const error = waybillError("WAYBILL_UNIT_POISONED", "Roll back.", { operation: "query" });
  expect(Object.keys(error).toSorted()).toEqual(["code", "facts", "name"]);
});

test("problems of a configuration are thrown together, none of them alone", () => {
  expect(() => throwConfigProblems("The relay", [])).not.toThrow();
  const problems = [
    { option: "leaseMs", problem: "must be at least 1000" },
    { option: "transport", problem: "is missing" },
  ];
  try {
    throwConfigProblems("The relay", problems);
    expect.unreachable();
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    expect(error.facts.problems).toEqual(problems);
    expect(error.message).toBe("The relay cannot start: leaseMs: must be at least 1000; transport: is missing.");
  }
});
