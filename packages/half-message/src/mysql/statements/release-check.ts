import type { Identifier } from "@waybill/sql";

/** Gives back the check of a half message, by producer and id, that was claimed under a token and not begun. No row: the lease is somebody else's, or it is decided. */
export const releaseCheck = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_at    = utc_timestamp(6),
      check_token = null
  where producer = ? and id = ? and check_token = cast(? as signed)`;
