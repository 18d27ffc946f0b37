import type { Identifier } from "../../identifier.ts";

/** Lets names without a schema mean this one, until the connection ends: only on one that is closed afterwards. No rows. */
export const setSearchPath = (schema: Identifier): string => `use ${schema}`;
