import {
  type BackoffPolicy,
  type Clock,
  type ConfigProblem,
  type OnAlert,
  type OnEvent,
  type Random,
  type ReceivedMessage,
  systemClock,
  systemRandom,
  throwConfigProblems,
} from "@waybill/core";
import type { Database, Tx } from "@waybill/sql";
import { type RetryPolicy, retryPolicyProblems } from "./retry-policy.ts";

export interface InboxOptions {
  /**
   * The name under which messages are handled, 1 to 100 characters. Two consumers in one database handle every message once each.
   * Renaming a consumer makes it handle again what still comes in.
   */
  readonly consumer: string;
  /**
   * The database that holds the handlers' data, opened by you and closed by you. Give its pool `concurrency` + 1 connections: handlers
   * hold one each while they run, and wait in line for one otherwise.
   */
  readonly database: Database;
  /** Where the tables lie. Default: the connection's search path. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Handlers at a time. Default 8. One key has one at a time, whatever this says. */
  readonly concurrency?: number;
  /**
   * Messages that may share a transaction, 1 to 1 000. Default 100. What waits when a place is free is taken at once, whatever its number: no
   * message waits for others to come. 1: every message has a transaction of its own. Shared are the locks, too, and what `set_config` says
   * for the transaction.
   */
  readonly batchMax?: number;
  /** Bytes of payloads, keys and headers that a batch may hold, if it is not a single message. Default 4 MiB. Times `concurrency` is what they take of your memory. */
  readonly batchBytesMax?: number;
  /** What happens behind a dead letter of the same key: `hold` (default) keeps later messages back until it is decided, `skip` goes on. */
  readonly keyPolicy?: "hold" | "skip";
  /** Milliseconds for one attempt. Default 60 000. Then its signal aborts, its transaction is destroyed, and the attempt counts. */
  readonly handlerDeadlineMs?: number;
  /** Attempts at a message before it becomes a dead letter. Default 20: five minutes or so. `reject` needs none. */
  readonly attemptsMax?: number;
  /** Attempts that ended neither well nor badly – process killed, deadline passed – before the message is put aside. Default 3. */
  readonly poisonAttempts?: number;
  /** Waits between attempts, with full jitter. Default from 100 ms doubling to 60 s. */
  readonly backoff?: BackoffPolicy;
  /**
   * Further policies by name, for handlers that are registered with `{ retry: name }`. Known to every inbox: `usual`, which is what `backoff` and
   * `attemptsMax` say, `fiveTimes` and `untilSuccess`.
   */
  readonly retryPolicies?: Readonly<Record<string, RetryPolicy>>;
  /**
   * Tells the producer that a message of its became a dead letter, in the transaction that writes it: append a message through `tx`, say. If it
   * fails the dead letter is written without, when the message comes again: `inbox.notifyingFailed` says so. Not called for a message that was redriven and
   * is refused once more, nor for those that wait behind a dead letter.
   */
  readonly onDeadLetter?: (tx: Tx, given: GivenUp) => Promise<void>;
  /**
   * Tells the producer that the effect of a message is committed, in its transaction: `(tx, fact) => append(tx, inventory.confirmed(fact))`, say. Called for
   * messages that were appended with `confirmBy` and name this consumer, once they are handled; for duplicates and stale ones, too. If it fails, so does
   * the attempt – but the message itself is given up only where its effect is not committed: of a duplicate that cannot be confirmed there is the event
   * `inbox.confirmationGivenUp` and an alert, and its producer sends it again. Who has no outbox confirms by other means after `process` has resolved as done.
   */
  readonly confirm?: (tx: Tx, confirmed: ConfirmedMessage) => Promise<unknown>;
  /**
   * How many deliveries a source may hand over again after a start: among the first so many the start of each attempt is counted, by a
   * commit of its own. Default 100. Less than the source's prefetch, and a message that kills its process may be found later.
   */
  readonly prefetch?: number;
  /** How long handled messages are remembered. Default 14 days. Messages created longer ago are refused: they become dead letters. */
  readonly retentionMs?: number;
  /** Bytes that the result of a handler may take as JSON, where results are kept, up to 1 MiB. Default 64 KiB. */
  readonly resultBytesMax?: number;
  /** How long results are kept, of messages (`keepResult`) and of requests (`once`). Default 7 days. A request that is repeated later is handled again. */
  readonly resultRetentionMs?: number;
  /**
   * The longest time after which your broker or sender may deliver a message again. Default 7 days. `retentionMs` may not be less; name a
   * shorter one only if you know it.
   */
  readonly redeliveryHorizonMs?: number;
  /** Milliseconds that running handlers get when the inbox is stopped. Default 10 000. Then they are cut off, and their messages come again. */
  readonly drainDeadlineMs?: number;
  /** How often a source may fail in a row, with nothing done in between, before `run` rejects. Default 10. */
  readonly sourceFailuresMax?: number;
  readonly onEvent?: OnEvent;
  /**
   * Told what a human should look at, once an hour of each kind: `failure_rate`, more than one in a hundred of the last thousand attempts failed;
   * `dead_letter`, a message became one; `unconfirmed`, the confirmation of a message that was handled before was given up. `alertHook` of `@waybill/http` makes one that calls a URL, signed.
   */
  readonly onAlert?: OnAlert;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A message whose effect is committed, if the transaction is. */
export interface ConfirmedMessage {
  readonly messageId: string;
  readonly type: string;
  readonly topic: string | null;
  readonly key: string | null;
  readonly consumer: string;
}

/** A message that becomes a dead letter. */
export interface GivenUp {
  readonly message: ReceivedMessage;
  readonly reason: string;
  /** Attempts that were started at it, as far as they were counted. */
  readonly attempts: number;
}

const dayMs = 86_400_000;

type Defaults = Required<
  Omit<InboxOptions, "schema" | "prefix" | "onEvent" | "onAlert" | "onDeadLetter" | "confirm" | "database" | "consumer">
>;

/** The options with their defaults. */
export type InboxSettings = Defaults &
  Pick<InboxOptions, "consumer" | "database" | "schema" | "prefix" | "onEvent" | "onAlert" | "onDeadLetter" | "confirm">;

/** @throws WAYBILL_CONFIG_INVALID with every problem */
export function inboxSettings(options: InboxOptions): InboxSettings {
  const settings: InboxSettings = {
    concurrency: 8,
    batchMax: 100,
    batchBytesMax: 4 * 1_048_576,
    keyPolicy: "hold",
    handlerDeadlineMs: 60_000,
    attemptsMax: 20,
    poisonAttempts: 3,
    backoff: { firstMs: 100, maxMs: 60_000 },
    retryPolicies: {},
    prefetch: 100,
    retentionMs: 14 * dayMs,
    resultBytesMax: 65_536,
    resultRetentionMs: 7 * dayMs,
    redeliveryHorizonMs: 7 * dayMs,
    drainDeadlineMs: 10_000,
    sourceFailuresMax: 10,
    clock: systemClock,
    random: systemRandom,
    ...options,
  };
  const { retentionMs, redeliveryHorizonMs, backoff } = settings;
  throwConfigProblems("The inbox", [
    ...consumerProblems(settings.consumer),
    ...wholeNumber("concurrency", settings.concurrency, 1, 1_000),
    ...wholeNumber("batchMax", settings.batchMax, 1, 1_000),
    ...wholeNumber("batchBytesMax", settings.batchBytesMax, 1, 64 * 1_048_576),
    ...(["hold", "skip"].includes(settings.keyPolicy) ? [] : [{ option: "keyPolicy", problem: "hold or skip" }]),
    ...wholeNumber("handlerDeadlineMs", settings.handlerDeadlineMs, 1, dayMs),
    ...wholeNumber("attemptsMax", settings.attemptsMax, 1, 1_000_000),
    ...wholeNumber("poisonAttempts", settings.poisonAttempts, 1, 1_000),
    ...wholeNumber("backoff.firstMs", backoff.firstMs, 1, dayMs),
    ...wholeNumber("backoff.maxMs", backoff.maxMs, backoff.firstMs, dayMs),
    ...retryPolicyProblems(settings.retryPolicies),
    ...wholeNumber("prefetch", settings.prefetch, 0, 1_000_000),
    ...wholeNumber("retentionMs", retentionMs, 1, 3_650 * dayMs),
    ...wholeNumber("resultBytesMax", settings.resultBytesMax, 1, 1_048_576),
    ...wholeNumber("resultRetentionMs", settings.resultRetentionMs, 1, 3_650 * dayMs),
    ...wholeNumber("redeliveryHorizonMs", redeliveryHorizonMs, 1, 3_650 * dayMs),
    ...(retentionMs >= redeliveryHorizonMs ? [] : [{ option: "retentionMs", problem: retentionProblem(redeliveryHorizonMs) }]),
    ...wholeNumber("drainDeadlineMs", settings.drainDeadlineMs, 0, dayMs),
    ...wholeNumber("sourceFailuresMax", settings.sourceFailuresMax, 1, 1_000_000),
  ]);
  return settings;
}

/** What `backoff` and `attemptsMax` say. */
export function usualRetry({ backoff, attemptsMax }: Pick<InboxSettings, "backoff" | "attemptsMax">): RetryPolicy {
  return { ...backoff, attemptsMax };
}

function retentionProblem(horizonMs: number): string {
  return `must be at least redeliveryHorizonMs (${horizonMs}): a message that comes again later would be handled twice`;
}

function consumerProblems(consumer: unknown): readonly ConfigProblem[] {
  if (typeof consumer === "string" && /^[A-Za-z0-9._/-]{1,100}$/.test(consumer)) return [];
  return [{ option: "consumer", problem: "1 to 100 of A-Z, a-z, 0-9, '.', '_', '/' and '-'" }];
}

function wholeNumber(option: string, value: number, min: number, max: number): readonly ConfigProblem[] {
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [{ option, problem: `must be a whole number from ${min} to ${max}` }];
}
