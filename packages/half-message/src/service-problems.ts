/** What is wrong with the options of a service. */
import type { ConfigProblem } from "@waybill/core";
import { isLoopback, parseAddress } from "./address.ts";
import { alertHookProblems } from "./alert-hook.ts";
import { destinationProblems } from "./delivery/destination-policy.ts";
import { nameProblem } from "./names.ts";
import { receiverProblems } from "./notification/receiver-options.ts";
import type { DestinationOptions, ProducerRules, ServiceRules } from "./options.ts";
import { networksProblems, portsProblems } from "./reach-problems.ts";

export function serviceProblems(rules: ServiceRules): readonly ConfigProblem[] {
  const { alertHook, clock, receivers } = rules;
  const ofHook = alertHook === undefined ? [] : alertHookProblems(alertHook, clock);
  return [
    ...numberProblems(rules),
    ...nameProblems(rules),
    ...securityProblems(rules),
    ...reachProblems(rules),
    ...receiverProblems(receivers),
    ...ofHook,
  ];
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Option → least and most. */
const bounds = {
  pollMs: [50, hourMs],
  connections: [1, 200],
  leaseMs: [50, hourMs],
  retentionMs: [50, 3_650 * dayMs],
  tombstoneMs: [50, 3_650 * dayMs],
  deadRetentionMs: [50, 3_650 * dayMs],
  logRetentionMs: [50, 3_650 * dayMs],
  purgeEveryMs: [50, dayMs],
  destinationGraceMs: [50, 30 * dayMs],
  maxBodyBytes: [1_024, 64 * 1_048_576],
  maxPayloadBytes: [1, 15 * 1_048_576],
  maxMessages: [1, 100],
  signatureToleranceMs: [50, dayMs],
  shutdownMs: [50, hourMs],
} as const satisfies Partial<Record<keyof ServiceRules, readonly [number, number]>>;

const producerBounds = {
  checkAfterMs: [50, dayMs],
  suspendAfterMs: [50, 7 * dayMs],
  suspendGraceMs: [50, dayMs],
  checkTimeoutMs: [50, 300_000],
  checkBatch: [1, 100],
  checkConcurrency: [1, 100],
  suspendedCheckMs: [0, 7 * dayMs],
  unfencedGraceMs: [50, 7 * dayMs],
  undecidedQuota: [1, 10_000_000],
  unreachableAlertMs: [50, dayMs],
} as const satisfies Partial<Record<keyof ProducerRules, readonly [number, number]>>;

function numberProblems(rules: ServiceRules): readonly ConfigProblem[] {
  const problems = outOf(bounds, rules, "");
  if (rules.tombstoneMs < rules.retentionMs) problems.push({ option: "tombstoneMs", problem: "must not be less than retentionMs" });
  for (const [name, producer] of Object.entries(rules.producers)) {
    problems.push(...outOf(producerBounds, producer, `producers.${name}.`));
    const delays = producer.pendingDelaysMs;
    if (delays.length === 0 || delays.some((delay) => !isWithin(delay, 50, dayMs))) {
      problems.push({ option: `producers.${name}.pendingDelaysMs`, problem: `must be one or more delays of 50 to ${dayMs}` });
    }
  }
  return problems;
}

function outOf(all: Readonly<Record<string, readonly [number, number]>>, values: object, at: string): ConfigProblem[] {
  return Object.entries(all).flatMap(([option, [min, max]]) => {
    const value = (values as Readonly<Record<string, unknown>>)[option];
    return isWithin(value, min, max) ? [] : [{ option: `${at}${option}`, problem: `must be a whole number from ${min} to ${max}` }];
  });
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}

function nameProblems(rules: ServiceRules): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const check = (option: string, name: string): void => {
    const broken = nameProblem(name);
    if (broken !== null) problems.push({ option, problem: `must be ${broken}` });
  };
  for (const [name, { deadNotice }] of Object.entries(rules.producers)) {
    check(`producers.${name}`, name);
    if (deadNotice !== null && !Object.hasOwn(rules.destinations, deadNotice)) {
      problems.push({ option: `producers.${name}.deadNotice`, problem: "must be among destinations" });
    }
  }
  for (const [name, { ack, consumer }] of Object.entries(rules.destinations)) {
    check(`destinations.${name}`, name);
    problems.push(...destinationProblems(rules.destinations[name] as DestinationOptions, `destinations.${name}`));
    if (name === "receivers") problems.push({ option: `destinations.${name}`, problem: "is reserved for notifications" });
    if ((ack === "explicit") !== (consumer !== undefined)) {
      problems.push({ option: `destinations.${name}.consumer`, problem: "must be named with ack explicit, and with nothing else" });
    }
  }
  for (const [topic, destinations] of Object.entries(rules.routes)) {
    for (const destination of destinations) {
      if (!Object.hasOwn(rules.destinations, destination))
        problems.push({ option: `routes.${topic}`, problem: `names no destination: ${destination.slice(0, 64)}` });
    }
  }
  const ids = rules.keys.map(({ id }) => id);
  for (const [index, key] of rules.keys.entries()) {
    check(`keys[${index}].id`, key.id);
    if (ids.indexOf(key.id) !== index) problems.push({ option: `keys[${index}].id`, problem: "must be unique" });
    if ([key.producer, key.consumer, key.receiver].filter((name) => name !== undefined).length > 1) {
      problems.push({ option: `keys[${index}]`, problem: "must be for one name: a producer, a consumer or a receiver" });
    }
    if (key.producer !== undefined && !Object.hasOwn(rules.producers, key.producer)) {
      problems.push({ option: `keys[${index}].producer`, problem: "must be among producers" });
    }
  }
  return problems;
}

function securityProblems(rules: ServiceRules): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const { keys, insecureDev, tls, tlsTerminated } = rules;
  if (keys.length === 0 && !insecureDev) {
    problems.push({ option: "keys", problem: "must hold one or more; without any only insecureDev starts, over loopback" });
  }
  for (const [option, address] of [
    ["listen", rules.listen],
    ["admin", rules.admin],
  ] as const) {
    if (address === null) continue;
    const parsed = parseAddress(address);
    if (parsed === null) problems.push({ option, problem: "must be host:port" });
    else if (!isLoopback(parsed.host)) {
      if (insecureDev) problems.push({ option, problem: "must be a loopback address with insecureDev" });
      else if (tls === undefined && !tlsTerminated)
        problems.push({ option, problem: "must be a loopback address, or tls given, or tlsTerminated said" });
    }
  }
  return problems;
}

/** Of the endpoints that are called, but for the alert hook's own. */
function reachProblems({ producers, receivers, receiverAllowNetworks }: ServiceRules): readonly ConfigProblem[] {
  return [
    ...Object.entries(producers).flatMap(([name, { check }]) => [
      ...networksProblems(`producers.${name}.check.allowNetworks`, check.allowNetworks),
      ...portsProblems(`producers.${name}.check.allowPorts`, check.allowPorts),
    ]),
    ...networksProblems("receiverAllowNetworks", receiverAllowNetworks),
    ...portsProblems("receivers.allowPorts", receivers?.allowPorts),
  ];
}
