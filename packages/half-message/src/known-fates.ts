import type { Row } from "@waybill/sql";
import type { Fate, KnownFates } from "./barrier-tables.ts";

/** The rows of `barrier-read-fates.ts`. A fate that we do not know is none: a later version may have written it, and then it is for that to say. */
export function knownFates(rows: readonly Row[]): KnownFates {
  const fates = new Map<string, Fate>();
  for (const { id, fate } of rows) if (fate === "committed" || fate === "fenced") fates.set(String(id), fate);
  return { identity: rows[0] === undefined ? null : String(rows[0]["identity"]), fates };
}
