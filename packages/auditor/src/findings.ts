import type { Counts, InvariantCode, TraceStep, Witness } from "./verdict.ts";
import { inTurns, noCounts, witnessesMax } from "./verdict.ts";

/** A violation on its way to a witness. The trace is only asked for when it will be shown. */
export interface Finding {
  readonly what: string;
  readonly messageId?: string | undefined;
  readonly sequence?: bigint | undefined;
  readonly reader?: string | undefined;
  readonly trace: () => readonly TraceStep[];
}

/** Where the judges put what they see. */
export interface Findings {
  readonly counts: Record<keyof Counts, number>;
  /** Adds `by` to a figure that must be 0, and keeps a witness while there is room for its code. */
  violate(code: InvariantCode, count: keyof Counts, finding: Finding, by?: number): void;
  isClean(): boolean;
  witnesses(): readonly Witness[];
}

export function createFindings(): Findings {
  const counts: Record<keyof Counts, number> = { ...noCounts };
  const byCode = new Map<InvariantCode, Witness[]>();
  return {
    counts,
    violate(code, count, finding, by = 1) {
      counts[count] += by;
      const kept = byCode.get(code) ?? [];
      byCode.set(code, kept);
      if (kept.length < witnessesMax) kept.push(witnessOf(code, finding));
    },
    isClean: () => byCode.size === 0,
    witnesses: () => inTurns([...byCode.values()]).slice(0, witnessesMax),
  };
}

function witnessOf(code: InvariantCode, finding: Finding): Witness {
  return {
    code,
    what: finding.what,
    ...(finding.messageId === undefined ? {} : { messageId: finding.messageId }),
    ...(finding.sequence === undefined ? {} : { sequence: String(finding.sequence) }),
    ...(finding.reader === undefined ? {} : { reader: finding.reader }),
    trace: finding.trace(),
  };
}
