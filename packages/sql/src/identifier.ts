/**
 * The only thing that is ever put into SQL text: a name that was checked and quoted here. Everything else is a parameter.
 */
import { waybillError } from "@waybill/core";
import type { Dialect } from "./tx.ts";

declare const identifierBrand: unique symbol;

/** A checked, quoted name, possibly qualified by a schema: `"app"."waybill_outbox"`. */
export type Identifier = string & { readonly [identifierBrand]: true };

/** Where the tables lie and how their names begin. */
export interface Namespace {
  readonly dialect: Dialect;
  /** null: wherever the connection's search path (PostgreSQL) or default database (MySQL) says. */
  readonly schema: string | null;
  /** Default `waybill_`. Lower case: migrations say names without quotes, which PostgreSQL folds. */
  readonly prefix: string;
}

const namePattern = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/**
 * Checks one part of a name: a letter or underscore, then letters, digits and underscores, at most 63 in all.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID. A dot is refused: `a.b` would be two names.
 */
export function checkName(what: string, name: string): string {
  if (typeof name === "string" && namePattern.test(name)) return name;
  throw waybillError(
    "WAYBILL_IDENTIFIER_INVALID",
    `The ${what} must be a plain name: a letter or underscore, then letters, digits and underscores, at most 63 characters.`,
    { what },
  );
}

/**
 * A namespace from what a caller configured.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID names `schema` or `prefix`
 */
export function namespace(
  dialect: Dialect,
  options: { readonly schema?: string | undefined; readonly prefix?: string | undefined } = {},
): Namespace {
  return {
    dialect,
    schema: options.schema === undefined ? null : checkName("schema", options.schema),
    prefix: options.prefix === undefined ? "waybill_" : checkPrefix(options.prefix),
  };
}

function checkPrefix(prefix: string): string {
  if (checkName("prefix", prefix) === prefix.toLowerCase()) return prefix;
  throw waybillError("WAYBILL_IDENTIFIER_INVALID", "The prefix must be lower case: migrations say it without quotes.", { what: "prefix" });
}

/** The table (or sequence, or index) `name` of a namespace: `tableOf(space, "outbox")` is `"waybill_outbox"`. */
export function tableOf(space: Namespace, name: string): Identifier {
  const table = quote(space.dialect, checkName("table", `${space.prefix}${name}`));
  return (space.schema === null ? table : `${quote(space.dialect, space.schema)}.${table}`) as Identifier;
}

/** The schema of a namespace by itself; null where the connection decides. */
export function schemaOf(space: Namespace): Identifier | null {
  return space.schema === null ? null : (quote(space.dialect, space.schema) as Identifier);
}

function quote(dialect: Dialect, name: string): string {
  return dialect === "postgres" ? `"${name}"` : `\`${name}\``;
}
