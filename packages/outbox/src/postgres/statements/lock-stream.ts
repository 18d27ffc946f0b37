import type { Identifier } from "@waybill/sql";

/** Takes the right to do upkeep on stream $1, to the end of the transaction. No row: somebody else has it, or there is no such stream. */
export const lockStream = (stream: Identifier): string => `
  select name
  from ${stream}
  where name = $1
  for update skip locked`;
