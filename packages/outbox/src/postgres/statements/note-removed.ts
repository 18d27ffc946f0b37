import type { Identifier } from "@waybill/sql";

/** Notes that history up to id $1 is gone from stream $2, whose row this transaction has locked. Never takes back what was noted. */
export const noteRemoved = (stream: Identifier): string => `
  update ${stream}
  set removed_to = greatest(removed_to, $1)
  where name = $2`;
