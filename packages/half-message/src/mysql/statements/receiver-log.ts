import type { Identifier } from "@waybill/sql";

/** Enters in the log of decisions what became of a receiver: its name stands where a half message's id does. Name, event, actor, reason. */
export const logReceiver = (log: Identifier): string => `
  insert into ${log} (id, event, actor, reason)
  values (?, ?, ?, ?)`;
