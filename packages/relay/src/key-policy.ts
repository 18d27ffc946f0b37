import type { ConfigProblem } from "@waybill/core";

/** What a dead letter holds up while nobody has decided about it: its key, nothing, or its whole topic. */
export type KeyPolicy = "hold" | "skip" | "stop";

const policies: readonly KeyPolicy[] = ["hold", "skip", "stop"];

/** A policy for every topic, and those of single topics. */
export interface KeyPolicies {
  readonly keyPolicy: KeyPolicy;
  readonly keyPolicies: Readonly<Record<string, KeyPolicy>>;
}

export function keyPolicyOf({ keyPolicy, keyPolicies: ofTopics }: KeyPolicies, topic: string): KeyPolicy {
  return Object.hasOwn(ofTopics, topic) ? (ofTopics[topic] ?? keyPolicy) : keyPolicy;
}

export function policyProblems({ keyPolicy, keyPolicies }: KeyPolicies): ConfigProblem[] {
  const isPolicy = (policy: KeyPolicy): boolean => policies.includes(policy);
  return [
    ...(isPolicy(keyPolicy) ? [] : [{ option: "keyPolicy", problem: "hold, skip or stop" }]),
    ...(Object.values(keyPolicies).every(isPolicy) ? [] : [{ option: "keyPolicies", problem: "hold, skip or stop for each topic" }]),
  ];
}

/** For the configuration's hash. */
export function describePolicies({ keyPolicy, keyPolicies }: KeyPolicies): readonly unknown[] {
  const ofTopics = Object.entries(keyPolicies).sort(([one], [other]) => (one < other ? -1 : 1));
  return ofTopics.length === 0 ? [keyPolicy] : [keyPolicy, ofTopics];
}
