import type { Identifier } from "@waybill/sql";

/**
 * Lets half message $1, $2 be checked no earlier than $3 ms from now, and never later than its deadline. A check that is under way goes on.
 *
 * No row: it is not prepared.
 */
export const extend = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_not_before = least(clock_timestamp() + $3::float8 * interval '1 millisecond', suspend_at),
      check_at         = case
                           when check_token is not null and check_at > clock_timestamp() then check_at
                           else greatest(check_at, least(clock_timestamp() + $3::float8 * interval '1 millisecond', suspend_at))
                         end
  where producer = $1 and id = $2 and state = 'prepared'`;
