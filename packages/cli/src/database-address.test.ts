import { describe, expect, test } from "vitest";
import { databaseAddress } from "./database-address.ts";

const same = (left: string, right: string, schema: string | null = null): boolean =>
  databaseAddress(left, schema) === databaseAddress(right, schema);

describe("where a database is", () => {
  test.each([
    ["postgres://a:b@db.example/shop", "postgresql://a@DB.example:5432/shop?sslmode=require"],
    ["postgres://shop@localhost", "postgres://shop@127.0.0.1:5432/shop"],
    ["postgres://shop@/shop?host=/run/postgresql", "postgresql://shop@/shop?host=/run/postgresql"],
    ["mysql://a:b@db.example/shop", "mariadb://c@db.example:3306/shop?ssl-mode=required"],
    ["mysql://a@[::1]:3306/shop", "mysql://a@localhost/shop"],
    ["mysql://a@h/shop?socket=/run/mysqld.sock", "mysql://b@g/shop?socket=/run/mysqld.sock"],
  ])("%s is %s", (left, right) => {
    expect(same(left, right)).toBe(true);
  });

  test.each([
    ["postgres://db.example/shop", "postgres://db.example/billing"],
    ["postgres://db.example/shop", "postgres://db.example:5433/shop"],
    ["postgres://db.example/shop", "mysql://db.example:5432/shop"],
    ["postgres://a@db.example", "postgres://b@db.example"],
    ["postgres://a@db.example/shop", "postgres://b@db.example/shop"],
    ["postgres://a@db.example/shop", "postgres://a@db.example/shop?options=-csearch_path%3Dother"],
    ["postgres://db1.example/shop", "postgres://db2.example/shop"],
  ])("%s is not %s", (left, right) => {
    expect(same(left, right)).toBe(false);
  });

  test("with a schema of its own the user says nothing about the place", () => {
    expect(same("postgres://a@db.example/shop", "postgres://b@db.example/shop", "app")).toBe(true);
    expect(databaseAddress("postgres://a@h/d", "app")).not.toBe(databaseAddress("postgres://a@h/d", "other"));
  });

  test("what is no URL has none", () => {
    expect(databaseAddress("", null)).toBeNull();
    expect(databaseAddress("postgres://%zz@h/d", null)).toBeNull();
  });
});
