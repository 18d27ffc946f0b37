import type { Namespace } from "@waybill/sql";
import { mysqlSpill } from "./mysql/spill.ts";
import { postgresSpill } from "./postgres/spill.ts";
import type { Spill } from "./spill.ts";

/** The spilled messages of one subscription. `stream` and `subscription` are checked names. Opens nothing. */
export function createSpill(space: Namespace, stream: string, subscription: string): Spill {
  return space.dialect === "mysql" ? mysqlSpill(space, stream, subscription) : postgresSpill(space, stream, subscription);
}
