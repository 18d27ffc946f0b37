import { systemClock, systemRandom, throwConfigProblems } from "@waybill/core";
import type { HalfMessageServiceOptions, ProducerRules, ServiceRules } from "./options.ts";
import { serviceProblems } from "./service-problems.ts";

const dayMs = 86_400_000;

const producerDefaults = {
  checkAfterMs: 10_000,
  suspendAfterMs: dayMs,
  suspendGraceMs: 30_000,
  pendingDelaysMs: [10_000, 20_000, 30_000] as readonly number[],
  unansweredBackoff: { firstMs: 5_000, maxMs: 60_000 },
  breaker: { failuresMax: 5, firstMs: 5_000, maxMs: 60_000 },
  checkTimeoutMs: 5_000,
  checkBatch: 50,
  checkConcurrency: 4,
  suspendedCheckMs: 600_000,
  unfencedGraceMs: 600_000,
  undecidedQuota: 10_000,
  unreachableAlertMs: 300_000,
} as const;

const serviceDefaults = {
  pollMs: 1_000,
  connections: 8,
  leaseMs: 30_000,
  retentionMs: 7 * dayMs,
  tombstoneMs: 30 * dayMs,
  deadRetentionMs: 30 * dayMs,
  logRetentionMs: 400 * dayMs,
  purgeEveryMs: 60_000,
  destinationGraceMs: 300_000,
  maxBodyBytes: 4_194_304,
  maxPayloadBytes: 1_000_000,
  maxMessages: 100,
  signatureToleranceMs: 300_000,
  shutdownMs: 10_000,
  durability: "strict" as "strict" | "relaxed",
  insecureDev: false,
  tlsTerminated: false,
  receiverAllowNetworks: [] as readonly string[],
} as const;

/**
 * Completes the options.
 *
 * @throws WAYBILL_CONFIG_INVALID with all that is wrong
 */
export function serviceRules(options: HalfMessageServiceOptions): ServiceRules {
  const rules = completed(options);
  throwConfigProblems("The half-message service", serviceProblems(rules));
  return rules;
}

function completed(options: HalfMessageServiceOptions): ServiceRules {
  const producers = Object.entries(options.producers).map(([name, producer]): readonly [string, ProducerRules] => {
    const { check = {}, deadNotice = null, ...others } = producer;
    return [name, { ...producerDefaults, ...said(others), check: { via: "push", ...check }, deadNotice }];
  });
  return {
    ...serviceDefaults,
    ...said(options),
    admin: options.admin === undefined ? "127.0.0.1:7421" : options.admin,
    schema: options.schema,
    prefix: options.prefix,
    tls: options.tls,
    onAlert: options.onAlert,
    alertHook: options.alertHook,
    onEvent: options.onEvent,
    receivers: options.receivers,
    receiverMasterSecret: options.receiverMasterSecret,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    producers: Object.fromEntries(producers),
  };
}

/** Without what was said to be undefined, so that it takes the place of no default. */
function said<T extends object>(options: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]: Exclude<T[Name], undefined>;
  };
}
