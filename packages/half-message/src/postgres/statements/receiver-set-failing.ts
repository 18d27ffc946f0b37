import type { Identifier } from "@waybill/sql";

/** Receiver $1 of version $3 fails ($2 = 1), since now if it did not, or does not (0). Served by the primary key. */
export const setReceiverFailing = (receivers: Identifier): string => `
  update ${receivers}
  set failing_since = case $2::integer when 1 then coalesce(failing_since, now()) end
  where receiver = $1 and version = $3`;
