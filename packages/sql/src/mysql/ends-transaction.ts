/**
 * Statements that MySQL and MariaDB commit a transaction for before they run, and those that end or begin one. `create table` in a unit of work
 * would keep its first half whatever became of the rest, and `begin` would not even show: afterwards a transaction is open again.
 *
 * Temporary tables commit nothing; `rollback to savepoint` and `savepoint` are the unit's own business.
 */
const ending = new RegExp(
  `^(?:\\s|/\\*(?!!)[^]*?\\*/|--\\s[^\\n]*\\n|#[^\\n]*\\n)*(?:${[
    "(?:create|drop)(?!\\s+(?:temporary|prepare)\\b)",
    "alter|rename|truncate|grant|revoke|analyze|optimize|repair|check|flush|reset|install|uninstall|cache|import",
    "(?:un)?lock\\s+(?:tables?|instance)",
    "begin|start|commit|xa",
    "rollback(?!\\s+(?:work\\s+)?to\\b)",
    "set\\s+(?:(?:session|local)\\s+|@@(?:session\\.|local\\.)?)?autocommit",
    "set\\s+password",
  ].join("|")})\\b`,
  "i",
);

export function endsTransaction(sql: string): boolean {
  return ending.test(sql);
}
