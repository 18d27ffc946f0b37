import { expect, test } from "vitest";
import { endsTransaction } from "./ends-transaction.ts";

test.each([
  "create table a (id int)",
  "CREATE OR REPLACE VIEW a AS SELECT 1",
  " \n\tdrop table a",
  "alter table a add b int",
  "truncate a",
  "rename table a to b",
  "grant select on a to b",
  "lock tables a read",
  "unlock tables",
  "begin",
  "start transaction with consistent snapshot",
  "COMMIT AND CHAIN",
  "commit",
  "rollback",
  "rollback work",
  "rollback and chain",
  "set autocommit = 0",
  "set session autocommit=1",
  "set @@autocommit = 1",
  "xa start 'x'",
  "-- why\ncreate table a (id int)",
  "/* why */ # and how\n drop table a",
  "analyze table a",
])("%j would end a transaction", (sql) => {
  expect(endsTransaction(sql)).toBe(true);
});

test.each([
  "select 1",
  "insert into a values ('create table b')",
  "update a set begin = 1",
  "delete from commits",
  "savepoint here",
  "rollback to savepoint here",
  "rollback work to here",
  "release savepoint here",
  "create temporary table a (id int)",
  "drop temporary table a",
  "set transaction isolation level serializable",
  "set @a = 1",
  "call anything()",
  "do 0",
  "starts",
  "lock in share mode",
  "-- create table a\nselect 1",
])("%j would not", (sql) => {
  expect(endsTransaction(sql)).toBe(false);
});
