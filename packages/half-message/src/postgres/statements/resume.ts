import type { Identifier } from "@waybill/sql";

/** Makes half message $1, $2 prepared again, with a new deadline in $3 ms, and checks it at once, or when the check under way ends. No row: it is not suspended. */
export const resume = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set state           = 'prepared',
      version         = version + 1,
      suspend_at      = clock_timestamp() + $3::float8 * interval '1 millisecond',
      check_at        = case when check_token is not null and check_at > clock_timestamp() then check_at else clock_timestamp() end,
      not_found_since = null
  where producer = $1 and id = $2 and state = 'suspended'`;
