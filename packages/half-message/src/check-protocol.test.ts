import { describe, expect, test } from "vitest";
import { type AskedCheck, encodeAnswers, encodeChecks, readAnswers, readChecks } from "./check-protocol.ts";

const check = (id: string, over: Partial<AskedCheck> = {}): AskedCheck => ({
  id,
  barrier: "0192d3c4-0d1e-7cc0-8f7a-2f6f3a1b9c00",
  checkNumber: 1,
  token: "123",
  ageMs: 10_000,
  traceparent: null,
  ...over,
});
const answered = (answers: unknown, over: object = {}): ReadonlyMap<string, unknown> | null =>
  readAnswers(JSON.stringify({ version: 1, producer: "payments", answers, ...over }), "payments", [check("a"), check("b", { token: "9" })]);
const good = { id: "a", token: "123", barrier: null, decision: "committed" };

describe("checks", () => {
  test("come through as they were sent", () => {
    const checks = [check("a"), check("b", { barrier: null, traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" })];
    expect(readChecks(encodeChecks("payments", checks), "payments")).toEqual(checks);
  });

  test.each([
    ["no JSON", "checks"],
    ["another version", JSON.stringify({ version: 2, producer: "payments", checks: [] })],
    ["another producer", JSON.stringify({ version: 1, producer: "orders", checks: [] })],
    ["no list", JSON.stringify({ version: 1, producer: "payments", checks: {} })],
    ["a check without a token", JSON.stringify({ version: 1, producer: "payments", checks: [{ ...check("a"), token: undefined }] })],
    ["an id that is none", JSON.stringify({ version: 1, producer: "payments", checks: [check("a b")] })],
  ])("%s is refused as a whole", (_, text) => expect(readChecks(text, "payments")).toBe(null));
});

describe("answers", () => {
  test("come through as they were sent", () => {
    const answers = [
      { id: "a", token: "123", barrier: "x", decision: "rolled_back", binding: true } as const,
      { id: "b", token: "9", barrier: null, decision: "pending", reason: "open" } as const,
    ];
    expect([...(readAnswers(encodeAnswers("payments", answers), "payments", [check("a"), check("b", { token: "9" })]) ?? [])]).toEqual([
      ["a", answers[0]],
      ["b", answers[1]],
    ]);
  });

  test.each([
    ["HTML", "<html>all is well</html>"],
    ["nothing", ""],
    ["a bare word", '{"decision":"COMMIT"}'],
    ["a list", "[]"],
    ["another version", JSON.stringify({ version: "1", producer: "payments", answers: [good] })],
    ["another producer", JSON.stringify({ version: 1, producer: "orders", answers: [good] })],
  ])("%s is no answer to anything", (_, text) => expect(readAnswers(text, "payments", [check("a")])).toBe(null));

  test.each([
    ["another word", { ...good, decision: "commit" }],
    ["another case", { ...good, decision: "COMMITTED" }],
    ["another token", { ...good, token: "124" }],
    ["a token as a number", { ...good, token: 123 }],
    ["no barrier", { ...good, barrier: undefined }],
    ["binding that is no boolean", { ...good, decision: "rolled_back", binding: "true" }],
    ["an id that was not asked for", { ...good, id: "c" }],
    ["a number", 1],
  ])("%s is no answer, and its neighbour's counts", (_, one) => {
    const neighbour = { id: "b", token: "9", barrier: null, decision: "pending" };
    expect([...(answered([one, neighbour])?.keys() ?? [])]).toEqual(["b"]);
  });

  test("an id that is answered twice has an answer only if both say the same", () => {
    expect(answered([good, good])?.size).toBe(1);
    expect(answered([good, { ...good, decision: "pending" }, good])?.size).toBe(0);
    expect(answered([good, { ...good, barrier: "other" }])?.size).toBe(0);
  });
});
