import { AuditInputError } from "../audit-input-error.ts";

/** A quoted schema and table, the only thing that is ever put into a statement's text. */
export type TableName = string & { readonly __brand: "TableName" };

const part = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** Throws `AuditInputError` for a part that is no plain identifier of at most 63 characters. */
export function tableName(schema: string, table: string): TableName {
  if (!part.test(schema)) throw new AuditInputError("schema", "must be letters, digits and _, at most 63, not starting with a digit");
  if (!part.test(table)) throw new AuditInputError("table", "must be letters, digits and _, at most 63, not starting with a digit");
  return `"${schema}"."${table}"` as TableName;
}
