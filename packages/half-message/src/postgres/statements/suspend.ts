import type { Identifier } from "@waybill/sql";

/**
 * Suspends half message $1, $2, and checks it in $3 ms (null: no more). A check under way goes on: its answer still counts. No row: it is not prepared.
 */
export const suspend = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set state       = 'suspended',
      version     = version + 1,
      suspend_at  = null,
      check_at    = case
                      when check_token is not null and check_at > clock_timestamp() then check_at
                      else clock_timestamp() + $3::float8 * interval '1 millisecond'
                    end,
      check_token = case when check_at > clock_timestamp() then check_token end
  where producer = $1 and id = $2 and state = 'prepared'`;
