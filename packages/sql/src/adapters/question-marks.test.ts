import { isWaybillError } from "@waybill/core";
import fc from "fast-check";
import knex from "knex";
import { expect, test } from "vitest";
import { checkQuestionMarks, toQuestionMarks } from "./question-marks.ts";

const postgres = knex({ client: "pg" });

/** What knex would send: the text with its own numbering, and the values. Nothing is connected. */
const sent = (sql: string, values: readonly (string | number | null)[]) => {
  const rewritten = toQuestionMarks(sql, values);
  return postgres
    .raw(rewritten.sql, rewritten.values as string[])
    .toSQL()
    .toNative();
};

test("values are repeated in the order in which the text names them", () => {
  expect(toQuestionMarks("select $2, $1, $2", ["a", "b"])).toEqual({ sql: "select ?, ?, ?", values: ["b", "a", "b"] });
  expect(toQuestionMarks("select $10, $1", ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]).values).toEqual(["10", "1"]);
});

test.each([
  ["a literal", "select '$1 it''s ? $1', $1"],
  ["an escape string", "select E'\\'$1 ?', $1"],
  ["a quoted name", 'select 1 as "$1 ""?""", $1'],
  ["a dollar quote", "select $$ $1 ? ' $$, $1"],
  ["a tagged dollar quote", "select $tag$ $1 $$ ? $tag$, $1"],
  ["a line comment", "select 1 -- $1 ? '\n, $1"],
  ["a block comment", "select /* $1 /* ? */ ' */ $1"],
  ["an operator", "select a ?| b and a ? $1"],
  ["a name that contains a dollar", "select total$1, $1"],
])("%s arrives as it was written", (_, sql) => {
  const native = sent(sql, ["x"]);
  expect(native.sql).toBe(sql);
  expect(native.bindings).toEqual(["x"]);
});

test("a question mark behind a backslash is refused, because knex cannot say it", () => {
  expect(() => toQuestionMarks("select '\\?'", [])).toThrow(/backslash/);
});

test("a placeholder without a value is refused", () => {
  let error: unknown = null;
  try {
    toQuestionMarks("select $2", ["a"]);
  } catch (thrown) {
    error = thrown;
  }
  expect(isWaybillError(error, "WAYBILL_VALUE_INVALID") && error.facts.position).toBe(2);
});

test("rewriting never touches what is text, and puts each value in its place", () => {
  const inside = fc.stringMatching(/^[a-z$1-3? ]{0,8}$/);
  const text = fc.oneof(
    inside.map((body) => `'${body}'`),
    inside.map((body) => `'it''s ${body}'`),
    inside.map((body) => `E'\\'${body}'`),
    inside.map((body) => `"${body}x"`),
    inside.map((body) => `/* ${body} /* ${body} */ */`),
    inside.map((body) => `-- ${body}\n`),
    inside.filter((body) => !body.includes("$")).map((body) => `$$${body}$$`),
    // A body may hold dollars, but nothing that closes it early.
    inside.filter((body) => !`${body}$q$`.slice(0, -1).includes("$q$")).map((body) => `$q$${body}$q$`),
    fc.constantFrom("select", "a$1", "?", "??", "?|", ", ", "(", ")", "::text", "e1", "nulle"),
  );
  const piece = fc.oneof(
    text.map((sql) => ({ sql, place: 0 })),
    fc.integer({ min: 1, max: 3 }).map((place) => ({ sql: `$${place}`, place })),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const values = ["one", "two", "three"];
      const native = sent(pieces.map(({ sql }) => sql).join(" "), values);
      let count = 0;
      const expected = pieces.map(({ sql, place }) => (place === 0 ? sql : `$${++count}`)).join(" ");
      expect(native.sql).toBe(expected);
      expect(native.bindings).toEqual(pieces.flatMap(({ place }) => (place === 0 ? [] : [values[place - 1]])));
    }),
    { numRuns: 2_000 },
  );
});

test("through knex on MySQL each question mark is a value's place", () => {
  expect(() => checkQuestionMarks("select ?, ?", ["a", "b"])).not.toThrow();
  expect(() => checkQuestionMarks("select 1", [])).not.toThrow();
});

test.each([
  ["one in a literal", "select 'a?', ?", ["a"]],
  ["a value too few", "select ?, ?", ["a"]],
  ["a value too many", "select ?", ["a", "b"]],
  ["knex's own form for a name", "select ??", ["a", "b"]],
  ["knex's own escape", "select \\?", ["a"]],
])("through knex on MySQL %s is refused", (_, sql, values) => {
  expect(() => checkQuestionMarks(sql, values)).toThrow(expect.objectContaining({ code: "WAYBILL_VALUE_INVALID" }) as Error);
});
