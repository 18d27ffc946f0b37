import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Leases so many checks, which are locked, for milliseconds under a token. Then the producer, and the ids. One whose lease ended without a word
 * counts as unanswered, so that no number of a check is given out twice; before its token is written over.
 */
export const claimChecks = (halfMessages: Identifier, count: number): string => `
  update ${halfMessages}
  set checks_unanswered = checks_unanswered + (check_token is not null),
      unanswered_run    = unanswered_run + (check_token is not null),
      check_at          = utc_timestamp(6) + interval (? * 1000) microsecond,
      check_token       = cast(? as signed)
  where producer = ? and id in (${repeated("?", count, ", ")})`;
