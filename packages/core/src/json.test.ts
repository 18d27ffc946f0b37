import fc from "fast-check";
import { expect, test } from "vitest";
import { isWaybillError } from "./errors.ts";
import { decodeJson, encodeJson } from "./json.ts";

const type = "shop.order.placed.v1";

function refusal(value: unknown): { found: string; path: string; message: string } {
  try {
    encodeJson(type, value);
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_PAYLOAD_NOT_JSON"))
      return { found: error.facts.found, path: error.facts.path, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

test("what JSON can carry is encoded as JSON.stringify does, and decoded to the same", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }), (value) => {
      const text = encodeJson(type, value);
      expect(text).toBe(JSON.stringify(value));
      expect(decodeJson(type, Buffer.from(text, "utf8"))).toEqual(JSON.parse(text));
    }),
  );
});

test("what JSON would lose is refused, with its place", () => {
  const cycle: Record<string, unknown> = {};
  cycle["lines"] = [{ order: cycle }];
  const cases: readonly [unknown, string, string][] = [
    [{ total: 1n }, "bigint", "/total"],
    [cycle, "cycle", "/lines/0/order"],
    [{ total: Number.NaN }, "not a finite number", "/total"],
    [[1, Number.POSITIVE_INFINITY], "not a finite number", "/1"],
    [{ total: Number.NEGATIVE_INFINITY }, "not a finite number", "/total"],
    [{ name: "a\ud800" }, "lone surrogate", "/name"],
    [{ names: { "\udc00": 1 } }, "lone surrogate", "/names"],
    [undefined, "undefined", ""],
    [[undefined], "undefined", "/0"],
    [Object.assign([], { length: 2 }), "undefined", "/0"],
    [{ made: () => 1 }, "function", "/made"],
    [{ mark: Symbol("x") }, "symbol", "/mark"],
    [{ at: new Date(Number.NaN) }, "invalid date", "/at"],
    [{ at: { toJSON: () => undefined } }, "undefined", "/at"],
  ];
  for (const [value, found, path] of cases) expect(refusal(value)).toMatchObject({ found, path });
});

test("objects that keep their content to themselves are refused instead of becoming {}", () => {
  const hidden = [
    new Map([["a", 1]]),
    new Set([1]),
    new WeakMap(),
    /a/,
    new Error("a"),
    Promise.resolve(),
    new ArrayBuffer(1),
    new Uint8Array(1),
    Object("a"),
  ];
  for (const value of hidden) expect(refusal({ value })).toMatchObject({ found: "not plain data", path: "/value" });
});

test("a message of refusal does not show the value", () => {
  expect(refusal({ name: "secret-value\ud800" }).message).not.toContain("secret-value");
  expect(refusal({ ["x".repeat(5_000)]: 1n }).message.length).toBeLessThan(500);
});

test("an undefined property is left out", () => {
  expect(encodeJson(type, { a: 1, b: undefined })).toBe('{"a":1}');
});

test("toJSON is honoured once, at every depth, and what it gives is checked", () => {
  const at = new Date(0);
  expect(encodeJson(type, { at, list: [at] })).toBe(JSON.stringify({ at, list: [at] }));
  expect(encodeJson(type, { price: { toJSON: (key: string) => `${key}!` } })).toBe('{"price":"price!"}');
  expect(refusal({ price: { toJSON: () => 1n } })).toMatchObject({ found: "bigint", path: "/price" });
  class Price {
    readonly cents = 1;
    toJSON(): unknown {
      return this;
    }
  }
  expect(encodeJson(type, new Price())).toBe('{"cents":1}');
});

test("a toJSON that makes ever new objects is refused instead of running out of stack", () => {
  const endless = (): unknown => ({ next: { toJSON: endless } });
  expect(refusal(endless()).found).toBe("nested too deeply");
});

test("500 levels are encoded, 501 are not", () => {
  const nested = (levels: number): unknown => {
    let value: unknown = [];
    for (let level = 1; level < levels; level += 1) value = [value];
    return value;
  };
  expect(encodeJson(type, nested(500))).toBe("[".repeat(500) + "]".repeat(500));
  expect(refusal(nested(501)).found).toBe("nested too deeply");
});

test("one object in two places is no cycle", () => {
  const address = { city: "Graz" };
  expect(encodeJson(type, { from: address, to: address })).toBe('{"from":{"city":"Graz"},"to":{"city":"Graz"}}');
});

test("-0 becomes 0, as with JSON.stringify", () => {
  expect(encodeJson(type, { change: -0 })).toBe('{"change":0}');
});

test("a property named __proto__ stays a property, in and out", () => {
  const text = '{"__proto__":{"admin":true},"constructor":1}';
  expect(encodeJson(type, JSON.parse(text))).toBe(text);
  const decoded = decodeJson(type, Buffer.from(text)) as Record<string, unknown>;
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
  expect(decoded["admin"]).toBeUndefined();
  expect(Object.keys(decoded)).toEqual(["__proto__", "constructor"]);
});

test("bytes that are no UTF-8 or no JSON are malformed, and the error quotes nothing of them", () => {
  for (const bytes of [Buffer.from([0x22, 0xff, 0x22]), Buffer.from("secret-value"), Buffer.from(""), Buffer.from('{"a":1')]) {
    try {
      decodeJson(type, bytes);
      expect.unreachable();
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_PAYLOAD_NOT_JSON")) throw error;
      expect(error.facts).toMatchObject({ found: "malformed", path: "" });
      expect(error.message).not.toContain("secret");
      expect(error.cause).toBeUndefined();
    }
  }
});
