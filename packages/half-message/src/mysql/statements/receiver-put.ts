import type { Identifier } from "@waybill/sql";

/** Registers receiver ?1, active, or changes what is registered: url, secret, schedule, success, and who does it follow. Served by the primary key. */
export const putReceiver = (receivers: Identifier): string => `
  insert into ${receivers} (receiver, url, secret, schedule, success, state, updated_by)
  values (?, ?, ?, ?, ?, 'active', ?)
  on duplicate key update
    url = values(url), secret = values(secret), schedule = values(schedule), success = values(success),
    version = version + 1, updated_at = utc_timestamp(6), updated_by = values(updated_by)`;
