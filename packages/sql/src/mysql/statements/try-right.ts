/**
 * Plans a statement that would need a right on `table` (quoted) for its `column` (ours, no user's), and runs nothing. No parameters. It fails
 * with 1142 or 1143 where the right is missing.
 */
export function tryRight(right: "select" | "insert" | "update" | "delete", table: string, column: string): string {
  switch (right) {
    case "select":
      return `explain select \`${column}\` from ${table} where 1 = 0`;
    case "insert":
      return `explain insert into ${table} (\`${column}\`) values (null)`;
    case "update":
      return `explain update ${table} set \`${column}\` = null where 1 = 0`;
    case "delete":
      return `explain delete from ${table} where 1 = 0`;
  }
}
