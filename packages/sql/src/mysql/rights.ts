import { isWaybillError } from "@waybill/core";
import type { RightsOf } from "../inspect-rights.ts";
import { tryRight } from "./statements/try-right.ts";

const noSuchTable = 1146;
/** ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR. */
const denied: ReadonlySet<number | null> = new Set([1044, 1142, 1143, 1227]);

/** `inspectRights` on MySQL and MariaDB, which have no question for it: a plan needs the rights of what it plans. */
export const mysqlRights: RightsOf = {
  async missingRights(database, { table, column, rights }) {
    const missing: (typeof rights)[number][] = [];
    for (const right of rights) {
      try {
        await database.query(tryRight(right, table, column), []);
      } catch (error) {
        if (!isWaybillError(error, "WAYBILL_DATABASE")) throw error;
        const { errno } = error.facts;
        if (errno === noSuchTable) return [];
        if (!denied.has(errno)) throw error;
        missing.push(right);
      }
    }
    return missing;
  },
  readFindings: () => Promise.resolve([]),
};
