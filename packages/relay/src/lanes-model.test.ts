/** The lanes of a relay in any order of what may happen to them, on simulated tables, time and receiver: see `simulatedRelay`. */
import { seededRandom } from "@waybill/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { NewMessage, Try } from "../test/simulation/simulated-receiver.ts";
import { type SimulatedRelay, simulatedRelay } from "../test/simulation/simulated-relay.ts";
import type { KeyPolicies } from "./key-policy.ts";

const isCampaign = process.env.WAYBILL_TEST_ALL === "1";
const runs = isCampaign ? 3_000 : 250;

/** A policy for each topic. */
const usual: KeyPolicies = { keyPolicy: "hold", keyPolicies: { b: "skip", c: "stop" } };
const others: KeyPolicies = { keyPolicy: "skip", keyPolicies: { b: "stop", c: "hold" } };
const topic = fc.constantFrom("a", "b", "c");

/** What must have happened in some run or other; else nothing is shown. */
const wanted = [
  "relay.retrying",
  "relay.parked",
  "relay.deadLettered",
  "relay.held",
  "relay.topicStopped",
  "relay.topicResumed",
  "relay.takenApart",
  "relay.breakerOpened",
  "relay.breakerClosed",
  "relay.spilled",
  "relay.spillRead",
  "relay.spillDeleted",
  "relay.releasedPublished",
  "relay.holesForgotten",
  "relay.soloDeathCounted",
  "relay.soloEnded",
] as const;

const failing = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Try>("retry", "later", "unknown", "unknownStored", "rejected") },
  { weight: 2, arbitrary: fc.constantFrom<Try>("retryTopic", "spoils") },
  { weight: 1, arbitrary: fc.constant<Try>("retryTransport") },
);
const message: fc.Arbitrary<NewMessage> = fc.record({
  topic,
  key: fc.constantFrom("a", "b", null),
  tries: fc.oneof({ weight: 3, arbitrary: fc.constant<Try[]>([]) }, { weight: 2, arbitrary: fc.array(failing, { maxLength: 4 }) }),
  isKiller: fc.nat(60).map((number) => number === 0),
  isLarge: fc.boolean(),
  isReadable: fc.nat(9).map((number) => number > 0),
});

type Command =
  | { readonly kind: "append"; readonly messages: readonly NewMessage[] }
  | { readonly kind: "begin"; readonly message: NewMessage }
  | { readonly kind: "end"; readonly isCommitted: boolean }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "decide"; readonly place: number; readonly to: "released" | "discarded" }
  | { readonly kind: "refuse"; readonly topic: string; readonly isRefused: boolean }
  | { readonly kind: "stop"; readonly policies: KeyPolicies }
  | { readonly kind: "kill" | "cut" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("append" as const), messages: fc.array(message, { minLength: 1, maxLength: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("begin" as const), message }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end" as const), isCommitted: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.oneof(fc.nat(30), fc.nat(1_200)) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("decide" as const),
      place: fc.nat(9),
      to: fc.constantFrom("released" as const, "released" as const, "discarded" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refuse" as const), topic, isRefused: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stop" as const), policies: fc.constantFrom(usual, others) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("kill" as const, "cut" as const) }) },
);

async function run(relay: SimulatedRelay, step: Command): Promise<void> {
  switch (step.kind) {
    case "append":
      for (const one of step.messages) relay.append(one, false);
      return;
    case "begin":
      relay.append(step.message, true);
      return;
    case "end":
      relay.end(step.isCommitted);
      return;
    case "advance":
      return relay.advance(step.ms);
    case "decide":
      relay.decide(step.place, step.to);
      return;
    case "refuse":
      relay.refuse(step.topic, step.isRefused);
      return;
    case "stop":
      relay.stop(step.policies);
      return;
    case "kill":
    case "cut":
      relay[step.kind]();
      return;
  }
}

test("whatever happens, nothing is lost, keys keep their order, and what waits has a bound", { timeout: 300_000 }, async () => {
  const reported = new Set<string>();
  const property = fc.asyncProperty(fc.nat(), fc.array(command, { minLength: 5, maxLength: 30 }), async (seed, commands) => {
    const relay = simulatedRelay(usual, seededRandom(seed));
    for (const step of commands) {
      await run(relay, step);
      if (relay.violation !== null) break;
    }
    expect(relay.violation).toBeNull();
    const left = await relay.settle(60_000);
    expect(relay.violation).toBeNull();
    expect(left).toBeNull();
    for (const name of relay.reported) reported.add(name);
  });
  // A usual run tries the same schedules each time: what it finds is of the change at hand. Campaigns look for what nobody has seen.
  await fc.assert(property, { numRuns: runs, ...(isCampaign ? {} : { seed: 2_026 }) });
  expect(wanted.filter((name) => !reported.has(name))).toEqual([]);
});
