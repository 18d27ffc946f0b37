import type { Identifier } from "@waybill/sql";

/** Notes that history up to id ? is gone from stream ?, whose row this transaction has locked. */
export const noteRemoved = (stream: Identifier): string => `
  update ${stream}
  set removed_to = ?
  where name = ?`;
