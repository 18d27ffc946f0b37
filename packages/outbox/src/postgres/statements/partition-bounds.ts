/**
 * From where to where the partition `leaf`, a row of `pg_class`, reaches: `bounds.low` is its first id, `bounds.high` the first one behind it. Both
 * null for the default partition. To be joined laterally.
 */
export const partitionBounds = `
      select
        substring(pg_get_expr(leaf.relpartbound, leaf.oid) from 'FROM \\(''(\\d+)''\\)')::bigint as low,
        substring(pg_get_expr(leaf.relpartbound, leaf.oid) from 'TO \\(''(\\d+)''\\)')::bigint as high`;
