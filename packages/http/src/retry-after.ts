/** Longer waits are cut: a receiver may slow us down, not switch us off. */
export const retryAfterMsMax = 3_600_000;

/** All three forms begin with a weekday (RFC 9110 §5.6.7); `Date.parse` alone would take "-1" for a year. */
const httpDate = /^[A-Z][a-z]{2,8},? /;

/**
 * What `Retry-After` asks for, in milliseconds, or null. A date is compared with the response's own `Date`, never with our clock:
 * both come from one clock then, whatever it says.
 */
export function retryAfterMs(retryAfter: string | undefined, date: string | undefined): number | null {
  if (retryAfter === undefined) return null;
  if (/^[0-9]{1,9}$/.test(retryAfter)) return Math.min(Number(retryAfter) * 1_000, retryAfterMsMax);
  const untilMs = httpDate.test(retryAfter) ? Date.parse(retryAfter) : Number.NaN;
  const fromMs = date === undefined ? Number.NaN : Date.parse(date);
  if (!Number.isFinite(untilMs) || !Number.isFinite(fromMs)) return null;
  return Math.min(Math.max(0, untilMs - fromMs), retryAfterMsMax);
}
