import type { Identifier } from "@waybill/sql";

/** Gives back the check of half message $1, $2 that was claimed under token $3 and not begun. No row: the lease is somebody else's, or it is decided. */
export const releaseCheck = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_at    = clock_timestamp(),
      check_token = null
  where producer = $1 and id = $2 and check_token = $3`;
