import type { Identifier } from "@waybill/sql";

/** Enters in the log of decisions what became of a receiver: its name stands where a half message's id does. $1 name, $2 event, $3 actor, $4 reason. */
export const logReceiver = (log: Identifier): string => `
  insert into ${log} (id, event, actor, reason)
  values ($1, $2, $3, $4)`;
