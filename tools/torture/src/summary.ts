import type { TortureResult } from "./verdict.ts";

/** Several runs as one result: the worst verdict, summed figures, and each run's seed to repeat it. */
export interface Summary extends Pick<TortureResult, "verdict" | "lost" | "ghosts" | "outOfOrder" | "repeated" | "takeovers" | "faults"> {
  readonly runs: readonly { readonly seed: number; readonly database: string; readonly verdict: TortureResult["verdict"] }[];
}

export function summaryOf(results: readonly TortureResult[]): Summary {
  const sum = (figure: (result: TortureResult) => number): number => results.reduce((total, result) => total + figure(result), 0);
  const verdicts = results.map(({ verdict }) => verdict);
  const isConclusive = verdicts.length > 0 && !verdicts.includes("inconclusive");
  return {
    verdict: verdicts.includes("violated") ? "violated" : isConclusive ? "valid" : "inconclusive",
    lost: sum(({ lost }) => lost),
    ghosts: sum(({ ghosts }) => ghosts),
    outOfOrder: sum(({ outOfOrder }) => outOfOrder),
    repeated: sum(({ repeated }) => repeated),
    takeovers: sum(({ takeovers }) => takeovers),
    faults: sum(({ faults }) => faults),
    runs: results.map(({ seed, database, verdict }) => ({ seed, database, verdict })),
  };
}
