import type { Namespace } from "@waybill/sql";
import { mysqlOperatorTable } from "./mysql/operator-table.ts";
import type { OperatorTable } from "./operator-table.ts";
import { postgresOperatorTable } from "./postgres/operator-table.ts";

export function createOperatorTable(space: Namespace): OperatorTable {
  return space.dialect === "mysql" ? mysqlOperatorTable(space) : postgresOperatorTable(space);
}
