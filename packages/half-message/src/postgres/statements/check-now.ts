import type { Identifier } from "@waybill/sql";

/** Checks half message $1, $2 at once, or when the check under way ends. No row: it is decided. */
export const checkNow = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_at         = case when check_token is not null and check_at > clock_timestamp() then check_at else clock_timestamp() end,
      check_not_before = null
  where producer = $1 and id = $2 and state in ('prepared', 'suspended')`;
