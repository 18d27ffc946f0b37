import type { BackoffPolicy, ConfigProblem } from "@waybill/core";
import { isPreset } from "./schedule.ts";

/** For all receivers. Milliseconds, unless said. */
export interface ReceiverOptions {
  /** Default standard-webhooks: of receivers that are registered without one. */
  readonly schedule?: string;
  /** Default 15 000: a call, from resolving the name to the last byte of the answer. */
  readonly timeoutMs?: number;
  /** Default 2 000. */
  readonly connectTimeoutMs?: number;
  /** Default 4: calls at once to one receiver. */
  readonly concurrency?: number;
  /** Default: 10 failures in a row, then 30 000 doubling to 600 000 without a call. */
  readonly breaker?: BackoffPolicy & { readonly failuresMax: number };
  /** Default 5 d: only failures for so long, and the receiver is disabled. */
  readonly disableAfterMs?: number;
  /** Default 24 h: a receiver's own wish counts no further. */
  readonly retryAfterCapMs?: number;
  readonly allowHttp?: boolean;
  /** Default [443, 8443]. */
  readonly allowPorts?: readonly number[];
}

export type ReceiverRules = Required<ReceiverOptions>;

const hourMs = 3_600_000;

export function receiverRules(options: ReceiverOptions = {}): ReceiverRules {
  const said = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return {
    schedule: "standard-webhooks",
    timeoutMs: 15_000,
    connectTimeoutMs: 2_000,
    concurrency: 4,
    breaker: { failuresMax: 10, firstMs: 30_000, maxMs: 600_000 },
    disableAfterMs: 120 * hourMs,
    retryAfterCapMs: 24 * hourMs,
    allowHttp: false,
    allowPorts: [443, 8_443],
    ...said,
  };
}

const bounds = {
  timeoutMs: [50, hourMs],
  connectTimeoutMs: [50, hourMs],
  concurrency: [1, 100],
  disableAfterMs: [50, 365 * 24 * hourMs],
  retryAfterCapMs: [50, 30 * 24 * hourMs],
} as const satisfies Partial<Record<keyof ReceiverRules, readonly [number, number]>>;

export function receiverProblems(options: ReceiverOptions | undefined): readonly ConfigProblem[] {
  const rules = receiverRules(options);
  const problems: ConfigProblem[] = [];
  for (const [option, [min, max]] of Object.entries(bounds)) {
    const value = rules[option as keyof typeof bounds];
    if (!Number.isSafeInteger(value) || value < min || value > max)
      problems.push({ option: `receivers.${option}`, problem: `must be a whole number from ${min} to ${max}` });
  }
  if (!isPreset(rules.schedule)) problems.push({ option: "receivers.schedule", problem: "must be the name of a preset" });
  const { failuresMax, firstMs, maxMs } = rules.breaker;
  if (!(failuresMax >= 1 && firstMs >= 1 && maxMs >= firstMs))
    problems.push({
      option: "receivers.breaker",
      problem: "must have failuresMax and firstMs of 1 or more, and maxMs no less than firstMs",
    });
  return problems;
}
