import type { Identifier } from "@waybill/sql";

/** Checks a half message, by producer and id, at once, or when the check under way ends. No row: it is decided. */
export const checkNow = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_at         = if(check_token is not null and check_at > utc_timestamp(6), check_at, utc_timestamp(6)),
      check_not_before = null
  where producer = ? and id = ? and state in ('prepared', 'suspended')`;
