import type { ConfigProblem } from "@waybill/core";
import type { DeliveryPolicy } from "../delivery-schedule.ts";
import type { DestinationOptions } from "../options.ts";

const hourMs = 3_600_000;

const defaults: DeliveryPolicy & { readonly alertAfterMs: number } = {
  ack: "implicit",
  ordering: "key",
  keyOrder: "publish",
  publishTimeoutMs: 10_000,
  breaker: { failuresMax: 5, firstMs: 1_000, maxMs: 30_000 },
  batch: 100,
  maxAttempts: null,
  giveUpAfterMs: 72 * hourMs,
  backoff: { firstMs: 1_000, maxMs: 300_000 },
  ackDeadlineMs: 30_000,
  maxRedeliveries: 20,
  alertAfterMs: 900_000,
};

/** What was configured for a destination, with every option said. */
export function deliveryPolicy(options: DestinationOptions): DeliveryPolicy & { readonly alertAfterMs: number } {
  const { transport: _, consumer: __, ...given } = options;
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...defaults, ...said };
}

/** Option → least and most. */
const bounds = {
  publishTimeoutMs: [50, hourMs],
  batch: [1, 1_000],
  giveUpAfterMs: [50, 365 * 24 * hourMs],
  ackDeadlineMs: [50, 24 * hourMs],
  maxRedeliveries: [0, 1_000_000],
  alertAfterMs: [50, 365 * 24 * hourMs],
} as const satisfies Partial<Record<keyof DestinationOptions, readonly [number, number]>>;

/** What is wrong with a destination's options, `at` being where they stand. */
export function destinationProblems(options: DestinationOptions, at: string): readonly ConfigProblem[] {
  const policy = deliveryPolicy(options);
  const problems: ConfigProblem[] = [];
  for (const [option, [min, max]] of Object.entries(bounds))
    if (!isWithin(policy[option as keyof typeof bounds], min, max))
      problems.push({ option: `${at}.${option}`, problem: `must be a whole number from ${min} to ${max}` });
  const { maxAttempts, backoff, breaker, keyOrder, ack } = policy;
  if (maxAttempts !== null && !isWithin(maxAttempts, 1, 1_000_000))
    problems.push({ option: `${at}.maxAttempts`, problem: "must be a whole number from 1 to 1000000, or left out" });
  for (const [option, { firstMs, maxMs }] of Object.entries({ backoff, breaker }))
    if (!isWithin(firstMs, 1, 24 * hourMs) || !isWithin(maxMs, firstMs, 24 * hourMs))
      problems.push({
        option: `${at}.${option}`,
        problem: "must begin with firstMs of 1 or more and end with maxMs, no less than it and a day at most",
      });
  if (!isWithin(breaker.failuresMax, 1, 1_000))
    problems.push({ option: `${at}.breaker.failuresMax`, problem: "must be a whole number from 1 to 1000" });
  if (keyOrder === "ack" && ack !== "explicit")
    problems.push({ option: `${at}.keyOrder`, problem: "can be ack only where the destination's ack is explicit" });
  return problems;
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}
