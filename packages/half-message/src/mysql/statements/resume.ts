import type { Identifier } from "@waybill/sql";

/** Makes a half message prepared again, with a new deadline in so many milliseconds, and checks it at once, or when the check under way ends. Then producer and id. No row: it is not suspended. */
export const resume = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set state           = 'prepared',
      version         = version + 1,
      suspend_at      = utc_timestamp(6) + interval (? * 1000) microsecond,
      check_at        = if(check_token is not null and check_at > utc_timestamp(6), check_at, utc_timestamp(6)),
      not_found_since = null
  where producer = ? and id = ? and state = 'suspended'`;
