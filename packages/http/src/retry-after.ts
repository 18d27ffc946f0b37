import * as core from "@waybill/core";

/** Longer waits are cut: a receiver may slow us down, not switch us off. */
export const retryAfterMsMax = 3_600_000;

/** What `Retry-After` asks for, in milliseconds, or null. A date is compared with the response's own `Date`. */
export function retryAfterMs(retryAfter: string | undefined, date: string | undefined): number | null {
  const headers = { ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }), ...(date === undefined ? {} : { date }) };
  return core.retryAfterMs(headers, retryAfterMsMax);
}
