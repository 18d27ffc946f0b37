/** All forms of a date begin with a weekday (RFC 9110 §5.6.7); `Date.parse` alone would take "-1" for a year. */
const httpDate = /^[A-Z][a-z]{2,8},? /;

/** What `Retry-After` asks for, in milliseconds, no more than `maxMs`; null: nothing. A date is compared with the answer's own, never with our clock. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, maxMs: number): number | null {
  const { "retry-after": asked, date } = headers;
  if (asked === undefined) return null;
  if (/^[0-9]{1,9}$/.test(asked)) return Math.min(Number(asked) * 1_000, maxMs);
  const untilMs = httpDate.test(asked) ? Date.parse(asked) : Number.NaN;
  const fromMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isFinite(untilMs) && Number.isFinite(fromMs) ? Math.min(Math.max(0, untilMs - fromMs), maxMs) : null;
}
