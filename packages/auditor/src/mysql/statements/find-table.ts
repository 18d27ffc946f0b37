/**
 * Whether there is a table: its name, unquoted, is the last parameter. `schema` is `database()`, or `?` for one that is given first.
 *
 * Always one row. Asks the catalogue only.
 */
export const findTable = (schema: "database()" | "?"): string => `
  select count(*) as is_there
  from information_schema.tables
  where table_schema = ${schema} and table_name = ?`;
