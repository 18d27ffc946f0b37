import type { Identifier } from "../../identifier.ts";

/**
 * All applied migrations, ascending: a few dozen rows, from which the caller takes its sets. Served by the primary key. No row: none applied.
 * Error 1146 where nothing was ever migrated.
 */
export const readMigrations = (migrations: Identifier): string => `
  select set_name, number, name, checksum, cast(applied_at as char) as applied_at
  from ${migrations}
  order by set_name, number`;
