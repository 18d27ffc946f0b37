import { expect, test } from "vitest";
import { createPoison } from "./poison.ts";

const insert = { sql: "insert into a values (?, ?)", values: ["x", new Uint8Array([1, 2])] };
const same = { sql: insert.sql, values: ["x", Buffer.from([1, 2])] };
const failure = new Error("duplicate");

test("after an error every statement is blocked by it", () => {
  const poison = createPoison();
  expect(poison.blocks(insert)).toBeNull();
  poison.failed(insert, failure, false);
  expect([poison.blocks(insert), poison.blocks({ sql: "select 1", values: [] }), poison.error()]).toEqual([failure, failure, failure]);
});

test("a statement that undid itself only may be sent once more, and its success clears the error", () => {
  const poison = createPoison();
  poison.failed(insert, failure, true);
  expect(poison.blocks(same)).toBeNull();
  poison.passed();
  expect([poison.error(), poison.blocks({ sql: "select 1", values: [] })]).toEqual([null, null]);
});

test("the second failure of the same statement is the end", () => {
  const poison = createPoison();
  poison.failed(insert, failure, true);
  poison.blocks(same);
  const again = new Error("again");
  poison.failed(same, again, true);
  expect([poison.blocks(same), poison.blocks(same)]).toEqual([again, again]);
});

test.each([
  ["another text", { sql: "insert into b values (?, ?)", values: insert.values }],
  ["another value", { sql: insert.sql, values: ["y", insert.values[1]] }],
  ["other bytes", { sql: insert.sql, values: ["x", new Uint8Array([1, 3])] }],
  ["fewer values", { sql: insert.sql, values: ["x"] }],
])("%s is not the same statement, and after it there is no second chance", (_, other) => {
  const poison = createPoison();
  poison.failed(insert, failure, true);
  expect([poison.blocks(other), poison.blocks(insert)]).toEqual([failure, failure]);
});
