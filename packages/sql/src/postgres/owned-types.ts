/**
 * How the rows of our own connections are parsed: as `pg` does by default, except that 64-bit numbers stay text whatever type
 * parsers the application set for itself. `pg` keeps those in one table per process.
 *
 * So: int2, int4 number; int8, numeric text; boolean; text, uuid text; bytea Buffer; timestamptz Date, or ±Infinity; json parsed;
 * arrays of these.
 */
import type { DriverTypes } from "./driver.ts";

const int8 = 20;
const int8Array = 1016;
const asIs = (text: string): string => text;

/** For rows as text: nothing is parsed at all. */
export const rawTypes: DriverTypes = { getTypeParser: () => asIs };

/** The driver's parsers, except where the application may have changed what we rely on. */
export function ownedTypes(types: DriverTypes): DriverTypes {
  return {
    getTypeParser: (oid, format) => {
      if (oid === int8) return asIs;
      if (oid === int8Array) return parseInt8Array;
      return types.getTypeParser(oid, format);
    },
  };
}

function parseInt8Array(text: string): readonly (string | null)[] {
  const inner = text.slice(1, -1);
  return inner === "" ? [] : inner.split(",").map((element) => (element === "NULL" ? null : element));
}
