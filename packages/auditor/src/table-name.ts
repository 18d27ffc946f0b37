import { AuditInputError } from "./audit-input-error.ts";
import type { Dialect } from "./database-place.ts";

/** A quoted table with its schema, the only thing that is ever put into a statement's text. */
export type TableName = string & { readonly __brand: "TableName" };

const part = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** Schema null: the connection's own. Throws `AuditInputError` for a part that is no plain identifier of at most 63 characters. */
export function tableName(dialect: Dialect, schema: string | null, table: string): TableName {
  const quote = (kind: string, name: string): string => {
    if (!part.test(name)) throw new AuditInputError(kind, "must be letters, digits and _, at most 63, not starting with a digit");
    return dialect === "postgres" ? `"${name}"` : `\`${name}\``;
  };
  return `${schema === null ? "" : `${quote("schema", schema)}.`}${quote("table", table)}` as TableName;
}
