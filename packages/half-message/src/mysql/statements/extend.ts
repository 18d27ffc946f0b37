import type { Identifier } from "@waybill/sql";

/**
 * Lets a half message be checked no earlier than so many milliseconds (twice) from now, and never later than its deadline. A check that is
 * under way goes on. Then producer and id.
 *
 * No row: it is not prepared.
 */
export const extend = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_not_before = least(utc_timestamp(6) + interval (? * 1000) microsecond, suspend_at),
      check_at         = if(check_token is not null and check_at > utc_timestamp(6),
                            check_at,
                            greatest(check_at, least(utc_timestamp(6) + interval (? * 1000) microsecond, suspend_at)))
  where producer = ? and id = ? and state = 'prepared'`;
