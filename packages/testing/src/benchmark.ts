/**
 * The form of every benchmark: two programs side by side in one run, in interleaved rounds, told as a ratio.
 *
 * Machines are shared and noisy, so a number alone says nothing; what holds is how ours compares with the bare thing a moment
 * before and after. The median of the rounds is the figure, smallest and largest are its honesty.
 */
import { cpus, loadavg } from "node:os";
import { systemClock } from "@waybill/core";

/** One line of a result: how ours compares with the bare thing. `met`: the median reaches the target, or stays within it. */
export interface BenchmarkResult {
  readonly name: string;
  readonly ratio: number;
  readonly min: number;
  readonly max: number;
  readonly target: number;
  readonly met: boolean;
  /** What the ratio is made of, by name: rates, CPU per message. */
  readonly figures?: Readonly<Record<string, number>>;
  /** What else it says, in words: `limited by append`. */
  readonly note?: string;
  /** The target is a limit; otherwise it is the least that is good enough. */
  readonly isLimit?: true;
}

export interface Comparison {
  readonly name: string;
  /** Least ratio of ours to bare, in work per second, that is good enough. */
  readonly target: number;
  /** Rounds, each one of ours and one of the bare thing. Default 3. */
  readonly rounds?: number;
  /** Does the work once and answers its milliseconds, without preparation. */
  readonly ours: () => Promise<number>;
  readonly bare: () => Promise<number>;
  /** Told after each round. */
  readonly onRound?: (round: { readonly oursMs: number; readonly bareMs: number }) => void;
}

/**
 * Runs the rounds, which of the two goes first changing from round to round. One round before them is not counted: it pays for
 * compiling the code and filling the server's cache, which would be told as a difference between the two.
 */
export async function compare(comparison: Comparison): Promise<BenchmarkResult> {
  await comparison.bare();
  await comparison.ours();
  const ratios: number[] = [];
  for (let round = 0; round < (comparison.rounds ?? 3); round += 1) {
    const isOursFirst = round % 2 === 0;
    let oursMs = isOursFirst ? await comparison.ours() : 0;
    const bareMs = await comparison.bare();
    if (!isOursFirst) oursMs = await comparison.ours();
    comparison.onRound?.({ oursMs, bareMs });
    ratios.push(bareMs / oursMs);
  }
  return benchmarkResult(comparison.name, ratios, comparison.target);
}

/** A result of measured ratios: their median, and their range. */
export function benchmarkResult(name: string, ratios: readonly number[], target: number): BenchmarkResult {
  const sorted = [...ratios].sort((left, right) => left - right);
  const at = (place: number): number => Math.round((sorted[place] ?? 0) * 1_000) / 1_000;
  const ratio = at(Math.floor(sorted.length / 2));
  return { name, ratio, min: at(0), max: at(sorted.length - 1), target, met: ratio >= target };
}

/** The same where less is better: a share of a core, a cost beside another. */
export function limitResult(name: string, ratios: readonly number[], limit: number): BenchmarkResult {
  const result = benchmarkResult(name, ratios, limit);
  return { ...result, met: result.ratio <= limit, isLimit: true };
}

/** The last line of a benchmark's output when it is asked for JSON; with the machine, and how busy it was in the last minute. */
export function benchmarkJson(bench: string, results: readonly BenchmarkResult[]): string {
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? "",
    node: process.version,
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
  return JSON.stringify({ bench, machine, results });
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  await work();
  return systemClock.monotonicMs() - startedMs;
}
