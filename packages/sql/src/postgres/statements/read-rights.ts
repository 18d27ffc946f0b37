/**
 * What the current role may do with table $1 (a quoted name, found by the search path) for its column $2. One row, every column null if
 * there is no such table. Served by the catalogue.
 */
export const readRights = `
  select has_column_privilege(found.oid, $2::text, 'SELECT') as select,
         has_column_privilege(found.oid, $2::text, 'INSERT') as insert,
         has_column_privilege(found.oid, $2::text, 'UPDATE') as update,
         has_table_privilege(found.oid, 'DELETE') as delete
  from (select to_regclass($1::text)::oid as oid) as found`;
