import { throwConfigProblems } from "@waybill/core";
import type { Dialect, Statements } from "@waybill/sql";

/**
 * Refuses a database that acknowledges a COMMIT which a crash of it may lose: what was answered "stored" must be.
 *
 * @throws WAYBILL_CONFIG_INVALID
 */
export async function checkDurability(database: Statements, dialect: Dialect): Promise<void> {
  const { sql, name, isSafe, wanted } = settings[dialect];
  const [row] = await database.query(sql, []);
  if (isSafe(String(row?.setting))) return;
  const problem = `must have ${name} = ${wanted}: it acknowledges what a crash may lose. Or say durability: relaxed`;
  throwConfigProblems("The half-message service", [{ option: "database", problem }]);
}

const settings = {
  postgres: {
    sql: "select current_setting('synchronous_commit') as setting",
    name: "synchronous_commit",
    isSafe: (setting: string) => setting !== "off",
    wanted: "on",
  },
  mysql: {
    sql: "select @@global.innodb_flush_log_at_trx_commit as setting",
    name: "innodb_flush_log_at_trx_commit",
    isSafe: (setting: string) => setting === "1",
    wanted: "1",
  },
} as const;
