import type { Identifier } from "../../identifier.ts";

/** Whether schema $1 (unquoted) is there. One row. */
export const schemaExists = "select exists (select from pg_namespace where nspname = $1) as exists";

/** Creates the schema. Asked for only where it is missing: PostgreSQL wants the right to create even if it is there. */
export const createSchema = (schema: Identifier): string => `create schema if not exists ${schema}`;
