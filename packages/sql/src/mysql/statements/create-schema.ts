import type { Identifier } from "../../identifier.ts";

/** Whether database $1 (unquoted) is there, as far as this role may see. One row. */
export const schemaExists = "select exists (select 1 from information_schema.schemata where schema_name = ?) as is_there";

/** Creates the schema, which is a database. Asked for only where it is missing: who installs may have no right to create one. */
export const createSchema = (schema: Identifier): string =>
  `create database if not exists ${schema} character set utf8mb4 collate utf8mb4_bin`;
