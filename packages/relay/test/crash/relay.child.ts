/**
 * A relay in a process of its own, for crash tests: it tells its parent each event, notes each publication on disk before it
 * confirms it, and ends itself where it is told to. One argument: `RelayChildOptions` as JSON. A line on stdin stops it in an orderly way.
 *
 * Its transport is the destination, too. Topics say how they behave:
 *
 *     flaky    fails for the topic's sake, twice          reject   rejects payloads that say "poison" while it is strict
 *     stuck    fails for the topic's sake while strict    braked   rejects eleven times in a row while strict, then confirms
 *     throws   the whole call throws, once                deadly   the process dies on payloads that say "killer", before they are noted
 *     slow     fails for the topic's sake, ten times      whole    rejects whole calls that have a payload that says "poison" while strict
 *     stops    as reject, and a dead letter stops it
 */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { digest } from "@waybill/auditor";
import { type OutgoingMessage, type PublishOutcome, type Transport, type WaybillEvent, waybillError } from "@waybill/core";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

/** The nth event of a name ends or freezes the child. `hasWork`: only those count after which something waits to be published. */
export interface ChildKill {
  readonly name: WaybillEvent["name"];
  readonly nth: number;
  readonly signal: "SIGKILL" | "SIGSTOP";
  readonly hasWork?: boolean;
}

/** What a test asks of the child. */
export interface RelayChildOptions {
  readonly url: string;
  /** The destination's log, JSON lines. */
  readonly log: string;
  readonly leaseMs: number;
  readonly kill: ChildKill | null;
  /** Freezes the process in the middle of a call, when it has noted this many messages in all; null: never. */
  readonly freezeAtMessage: number | null;
  /** The destination misbehaves as its topics say; otherwise it takes everything but what kills. */
  readonly isStrict: boolean;
  /** A key whose messages are taken all the same: somebody repaired what was wrong with it. */
  readonly repairedKey: string | null;
  readonly transportName: string;
  readonly spillAfterMs: number;
}

const options = JSON.parse(process.argv[2] ?? "{}") as RelayChildOptions;
const { isStrict } = options;

// Appended in one write each, so that two children may note into one file.
const log = openSync(options.log, "a");
let noted = 0;
const note = (message: OutgoingMessage): void => {
  const received = {
    relay: process.pid,
    subscription: "default",
    messageId: message.id,
    payloadDigest: digest(message.payload),
    topic: message.topic,
    key: message.key,
    sequence: String(message.sequence),
  };
  writeSync(log, `${JSON.stringify(received)}\n`);
  noted += 1;
  if (noted === options.freezeAtMessage) process.kill(process.pid, "SIGSTOP");
};

const error = (reason: string) => waybillError("WAYBILL_TRANSPORT", "As the test wants it.", { system: "test", reason, brokerCode: null });

let flakyFailures = 0;
let brakedRejections = 0;
let throws = 0;
let slowFailures = 0;

const outcomeOf = (message: OutgoingMessage): PublishOutcome => {
  const says = (text: string): boolean => Buffer.from(message.payload ?? []).includes(text);
  if (message.topic === "deadly" && says("killer")) process.kill(process.pid, "SIGKILL");
  if (isStrict) {
    if (message.topic === "flaky" && flakyFailures++ < 2) return { kind: "retry", scope: "topic", error: error("flaky") };
    if (message.topic === "stuck") return { kind: "retry", scope: "topic", error: error("stuck") };
    if (message.topic === "slow" && slowFailures++ < 10) return { kind: "retry", scope: "topic", error: error("slow") };
    if (["reject", "stops"].includes(message.topic) && says("poison") && message.key !== options.repairedKey)
      return { kind: "rejected", error: error("poison") };
    if (message.topic === "braked" && brakedRejections++ < 11) return { kind: "rejected", error: error("braked") };
    if (message.topic === "throws" && throws++ < 1) throw new Error("as the test wants it");
  }
  note(message);
  return { kind: "confirmed" };
};

const behind: PublishOutcome = { kind: "retry", scope: "message", error: error("behindItsKey") };

const transport: Transport = {
  publish: async (batch, { mayWrite }) => {
    const stopped = new Set<string>();
    const outcomes: PublishOutcome[] = [];
    const isPoisoned = ({ topic, payload }: OutgoingMessage): boolean => topic === "whole" && Buffer.from(payload ?? []).includes("poison");
    if (isStrict && batch.some(isPoisoned)) return batch.map(() => ({ kind: "rejected", error: error("poison") }));
    for (const message of batch) {
      const lane = `${message.topic}/${message.key ?? message.id}`;
      if (mayWrite?.() === false) outcomes.push({ kind: "retry", scope: "transport", error: error("leaseLost") });
      else if (stopped.has(lane)) outcomes.push(behind);
      else {
        const outcome = outcomeOf(message);
        if (outcome.kind !== "confirmed") stopped.add(lane);
        outcomes.push(outcome);
      }
    }
    fsyncSync(log);
    return outcomes;
  },
  close: () => Promise.resolve(),
};

const database = openDatabase({ url: options.url });
const stop = new AbortController();
process.stdin.once("data", () => stop.abort());
process.on("SIGTERM", () => stop.abort());
const kill = options.kill === null ? undefined : killOnEvent(options.kill);

await createRelay({
  database,
  transport,
  transportName: options.transportName,
  leaseMs: options.leaseMs,
  topicBackoff: { firstMs: 20, maxMs: 200 },
  outageBackoff: { firstMs: 20, maxMs: 200 },
  saveMs: 50,
  keyPolicies: { stops: "stop" },
  spillAfterMs: options.spillAfterMs,
  holeFenceAfterMs: 200,
  hint: options.url.startsWith("postgres"),
  onEvent: (event) => {
    tellParent(event);
    if (options.kill?.hasWork !== true || ("unconfirmed" in event && event.unconfirmed > 0)) kill?.(event);
  },
}).run({ signal: stop.signal });

await database.close();
closeSync(log);
process.stdin.destroy();
