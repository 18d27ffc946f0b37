import type { Identifier } from "@waybill/sql";

/**
 * Suspends a half message, and checks it in so many milliseconds (null: no more). A check under way goes on: its answer still counts. Then producer and
 * id. No row: it is not prepared.
 */
export const suspend = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set state       = 'suspended',
      version     = version + 1,
      suspend_at  = null,
      check_token = if(check_at > utc_timestamp(6), check_token, null), -- first: what stands left is done before what stands right
      check_at    = if(check_token is not null, check_at, utc_timestamp(6) + interval (? * 1000) microsecond)
  where producer = ? and id = ? and state = 'prepared'`;
