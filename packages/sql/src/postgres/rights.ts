import type { RightsOf } from "../inspect-rights.ts";
import type { ServerFinding } from "../server-report.ts";
import { readRights } from "./statements/read-rights.ts";
import { readRole } from "./statements/read-role.ts";

/** `inspectRights` on PostgreSQL. */
export const postgresRights: RightsOf = {
  async missingRights(database, { table, column, rights }) {
    const [row] = await database.query(readRights, [table, column]);
    return rights.filter((right) => row?.[right] === false);
  },
  async readFindings(database, outbox) {
    const [row] = await database.query(readRole, [outbox]);
    const findings: ServerFinding[] = [];
    if (row?.["owns_outbox"] === true) {
      findings.push({
        level: "warned",
        rule: "owner",
        found: "this role owns the outbox",
        advice:
          "An owner can write ids, and one written below a cursor is never read. Let the application log in as another role; a relay that owns the table makes its partitions ahead.",
      });
    }
    if (row?.["idle_in_transaction_session_timeout"] === "0") {
      findings.push({
        level: "warned",
        rule: "idle_in_transaction_session_timeout",
        found: "0",
        advice: "A transaction that an application forgot holds its ids open for ever, and history with them: set it to some minutes.",
      });
    }
    return findings;
  },
};
