import { expect, test } from "vitest";
import { splitStatements } from "./split-statements.ts";

test("each statement ends with a semicolon at a line's end; comments of whole lines are left out", () => {
  const text = `-- what it is;
-- and why
create table a (
  id int, -- a number; of something
  b text  -- the end
);

insert ignore into a values (1, 'x;y');  -- a seed
insert ignore into a values (2, 'a -- b')
;
`;
  expect(splitStatements(text)).toEqual([
    "create table a (\n  id int, -- a number; of something\n  b text  -- the end\n)",
    "insert ignore into a values (1, 'x;y')",
    "insert ignore into a values (2, 'a -- b')",
  ]);
});

test("the last semicolon may be missing, and a file of Windows reads the same", () => {
  expect(splitStatements("select 1;\r\n\r\nselect 2\r\n")).toEqual(["select 1", "select 2"]);
});

test.each(["", "\n\n", "-- nothing\n", ";\n;\n"])("%j has no statement", (text) => {
  expect(splitStatements(text)).toEqual([]);
});

test("between two lines that change the delimiter a statement may hold semicolons", () => {
  const text =
    "select 1;\ndelimiter //\ncreate trigger a for each row\n  if b then\n    signal c; -- why\n  end if//\ndelimiter ;\nselect 2;\n";
  expect(splitStatements(text)).toEqual([
    "select 1",
    "create trigger a for each row\n  if b then\n    signal c; -- why\n  end if",
    "select 2",
  ]);
});
