import { throwConfigProblems } from "@waybill/core";
import type { Namespace } from "@waybill/sql";
import type { DeadLetters } from "./dead-letters.ts";
import { postgresDeadLetters } from "./postgres/dead-letters.ts";

/**
 * The table of dead letters of a namespace. Opens nothing: every call is given the unit or the statements it runs with.
 *
 * @throws WAYBILL_CONFIG_INVALID for a dialect that is not supported
 */
export function createDeadLetters(space: Namespace): DeadLetters {
  if (space.dialect !== "postgres") throwConfigProblems("The table of dead letters", [{ option: "dialect", problem: "postgres" }]);
  return postgresDeadLetters(space);
}
