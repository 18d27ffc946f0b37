import fc from "fast-check";
import { expect, it } from "vitest";
import { parseJson } from "./parse-json.ts";

it.each([
  ['{"leaseMs": 1, "leaseMs": 2}', "leaseMs"],
  ['{"a": {"b": 1}, "b": {"a": 1}, "a": null}', "a"],
  [
    '{"databases": [{"name": "x"}, {"subscriptions": [{}, {"leaseMs": 1, "topics": "{,}", "leaseMs": 1}]}]}',
    "databases[1].subscriptions[1].leaseMs",
  ],
  ['{"a": [1, [{"b": true, "c": [], "\\u0062": 0}]]}', "a[1][0].b"],
  ['[{"a": "\\"", "b": "\\\\", "a": 1}]', "[0].a"],
  ['{"": 1, "": 1}', ""],
  ['{"__proto__": 1, "__proto__": 2}', "__proto__"],
])("finds the name that comes twice in %s", (text, at) => {
  expect(parseJson(text)).toEqual({ kind: "repeated", at });
});

it.each(["", "{", '{"a": 1,}', "{'a': 1}", "{a: 1}"])("says no more of what is no JSON than that: %s", (text) => {
  expect(parseJson(text)).toEqual({ kind: "malformed" });
});

it("takes all that has every name once", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      expect(parseJson(text)).toEqual({ kind: "parsed", value: JSON.parse(text) });
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
});

it("takes a long string", () => {
  const text = JSON.stringify({ a: 'x"\\'.repeat(1_000_000) });
  expect(parseJson(text).kind).toBe("parsed");
});
