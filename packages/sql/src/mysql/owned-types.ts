/**
 * How the rows of our own connections are parsed. Whatever casts and options the application gives its own connections, ours have these.
 *
 * By name: tinyint to int, and year, number; bigint and decimal text; float and double number; date, time, datetime and timestamp text as the
 * server writes them; json text; char, varchar, text and enum text; binary, blob and bit Buffer. A `count(*)` and a sum are bigint and
 * decimal, and so text. A literal or an expression (`select 1`, `exists (…)`) is bigint on MySQL and int on MariaDB: whoever reads one says
 * `Number(…)`.
 */
import type { DriverColumn, DriverOptions } from "./driver.ts";

/** A bigint never becomes a double, a time never a `Date` in this host's zone. */
export const ownedTypes: Pick<
  DriverOptions,
  "supportBigNumbers" | "bigNumberStrings" | "dateStrings" | "decimalNumbers" | "jsonStrings" | "stringifyObjects"
> = {
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  decimalNumbers: false,
  jsonStrings: true,
  stringifyObjects: true,
};

/** The same for one statement on somebody else's connection; what a decimal and a json column become is that connection's setting. */
export const rowOptions: Readonly<Record<string, unknown>> = {
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  // A cast of the connection's is only overruled by another one.
  typeCast: (_column: unknown, parse: () => unknown): unknown => parse(),
  rowsAsArray: false,
  nestTables: false,
};

/** For rows as text: nothing is parsed at all. The session speaks utf8mb4; what is binary must be selected as `hex(…)`. */
export const rawText = (column: DriverColumn): string | null => column.string("utf8");
