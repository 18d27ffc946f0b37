import type { Namespace } from "@waybill/sql";
import { mysqlResultStore } from "./mysql/result-store.ts";
import { postgresResultStore } from "./postgres/result-store.ts";
import type { ResultStore } from "./result-store.ts";

/** The results of a consumer. Opens nothing: every call is given the unit or the statements it runs with. */
export function createResultStore(space: Namespace, consumer: string): ResultStore {
  return space.dialect === "mysql" ? mysqlResultStore(space, consumer) : postgresResultStore(space, consumer);
}
