import { expect, test } from "vitest";
import { isHarmless } from "./batch-tx.ts";

test.each([
  "select 1",
  "  INSERT into a values ($1)",
  "/* who asks */ update a set b = 1;",
  "-- a word\nwith x as (select 1) select * from x",
  "(select 1) union (select 2)",
  "/* a / b * c **/ select 1",
])("is sent in a batch: %s", (sql) => {
  expect(isHarmless(sql, [])).toBe(true);
});

test.each([
  "commit",
  "/* x */ commit",
  "/*! commit */",
  "/*M! commit */ select 1",
  "end",
  "rollback",
  "savepoint a",
  "release savepoint a",
  "rollback to savepoint a",
  "/* was: /* x */ select 1 */ commit",
  "/* day */ call close_day /* n */ (1)",
  "abort",
  "prepare transaction 'a'",
  "begin",
  "call settle()",
  "execute prepared",
  "set autocommit = 1",
  "set local app.tenant = 'a'",
  "create table a (b int)",
  "if true then commit; end if",
  "update a set b = 1; commit; begin",
])("sends the batch back: %s", (sql) => {
  expect(isHarmless(sql, [])).toBe(false);
});

test("with values there is one statement only, whatever stands in its literals", () => {
  expect(isHarmless("insert into a values ('x; y', $1)", [1])).toBe(true);
});
