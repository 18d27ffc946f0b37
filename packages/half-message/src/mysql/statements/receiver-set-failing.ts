import type { Identifier } from "@waybill/sql";

/** A receiver fails (?1 = 1), since now if it did not, or does not (0); ?2 is its name, ?3 its version. Served by the primary key. */
export const setReceiverFailing = (receivers: Identifier): string => `
  update ${receivers}
  set failing_since = case ? when 1 then coalesce(failing_since, utc_timestamp(6)) end
  where receiver = ? and version = ?`;
