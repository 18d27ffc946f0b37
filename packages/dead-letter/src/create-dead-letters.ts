import type { Namespace } from "@waybill/sql";
import type { DeadLetters } from "./dead-letters.ts";
import { mysqlDeadLetters } from "./mysql/dead-letters.ts";
import { postgresDeadLetters } from "./postgres/dead-letters.ts";

/** The table of dead letters of a namespace. Opens nothing: every call is given the unit or the statements it runs with. */
export function createDeadLetters(space: Namespace): DeadLetters {
  return space.dialect === "mysql" ? mysqlDeadLetters(space) : postgresDeadLetters(space);
}
