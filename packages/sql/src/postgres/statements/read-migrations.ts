import type { Identifier } from "../../identifier.ts";

/**
 * The applied migrations of the sets $1, ascending. Served by the primary key. No row: none applied.
 * SQLSTATE 42P01 where nothing was ever migrated.
 */
export const readMigrations = (migrations: Identifier): string => `
  select set_name, number, name, checksum, applied_at::text as applied_at
  from ${migrations}
  where set_name = any ($1::text[])
  order by set_name, number`;
