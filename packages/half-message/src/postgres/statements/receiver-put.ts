import type { Identifier } from "@waybill/sql";

/** Registers receiver $1, active, or changes what is registered: url, secret, schedule, success, and who does it follow. Served by the primary key. */
export const putReceiver = (receivers: Identifier): string => `
  insert into ${receivers} as registered (receiver, url, secret, schedule, success, state, updated_by)
  values ($1, $2, $3, $4, $5, 'active', $6)
  on conflict (receiver) do update
  set url = excluded.url, secret = excluded.secret, schedule = excluded.schedule, success = excluded.success,
      version = registered.version + 1, updated_at = now(), updated_by = excluded.updated_by`;
