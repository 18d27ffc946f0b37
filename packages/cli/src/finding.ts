/** What `doctor` says about one thing, wherever it was found. */
export interface Finding {
  /** `refused`: a promise would be broken. `warned`: it holds, but for what `advice` says. */
  readonly level: "ok" | "warned" | "refused";
  /** What was looked at: `PostgreSQL 18.4`, `topic orders`. */
  readonly subject: string;
  /** A stable word. */
  readonly rule: string;
  readonly found: string;
  /** What to do about it; empty if nothing. */
  readonly advice: string;
}

export function fine(subject: string, rule: string, found: string): Finding {
  return { level: "ok", subject, rule, found, advice: "" };
}
