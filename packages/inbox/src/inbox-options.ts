import {
  type BackoffPolicy,
  type Clock,
  type ConfigProblem,
  type OnEvent,
  type Random,
  systemClock,
  systemRandom,
  throwConfigProblems,
} from "@waybill/core";
import type { Database } from "@waybill/sql";

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
   * How many deliveries a source may hand over again after a start: among the first so many the start of each attempt is counted, by a
   * commit of its own. Default 100. Less than the source's prefetch, and a message that kills its process may be found later.
   */
  readonly prefetch?: number;
  /** How long handled messages are remembered. Default 14 days. Messages created longer ago are refused: they become dead letters. */
  readonly retentionMs?: number;
  /**
   * The longest time after which your broker or sender may deliver a message again. Default 7 days. `retentionMs` may not be less; name a
   * shorter one only if you know it.
   */
  readonly redeliveryHorizonMs?: number;
  /** Milliseconds that running handlers get when the inbox is stopped. Default 10 000. Then they are cut off, and their messages come again. */
  readonly drainDeadlineMs?: number;
  /** How often a source may fail in a row, with nothing delivered in between, before `run` rejects. Default 10. */
  readonly sourceFailuresMax?: number;
  readonly onEvent?: OnEvent;
  readonly clock?: Clock;
  readonly random?: Random;
}

const dayMs = 86_400_000;

type Defaults = Required<Omit<InboxOptions, "schema" | "prefix" | "onEvent" | "database" | "consumer">>;

/** The options with their defaults. */
export type InboxSettings = Defaults & Pick<InboxOptions, "consumer" | "database" | "schema" | "prefix" | "onEvent">;

/** @throws WAYBILL_CONFIG_INVALID with every problem */
export function inboxSettings(options: InboxOptions): InboxSettings {
  const settings: InboxSettings = {
    concurrency: 8,
    keyPolicy: "hold",
    handlerDeadlineMs: 60_000,
    attemptsMax: 20,
    poisonAttempts: 3,
    backoff: { firstMs: 100, maxMs: 60_000 },
    prefetch: 100,
    retentionMs: 14 * dayMs,
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
    ...(["hold", "skip"].includes(settings.keyPolicy) ? [] : [{ option: "keyPolicy", problem: "hold or skip" }]),
    ...wholeNumber("handlerDeadlineMs", settings.handlerDeadlineMs, 1, dayMs),
    ...wholeNumber("attemptsMax", settings.attemptsMax, 1, 1_000_000),
    ...wholeNumber("poisonAttempts", settings.poisonAttempts, 1, 1_000),
    ...wholeNumber("backoff.firstMs", backoff.firstMs, 1, dayMs),
    ...wholeNumber("backoff.maxMs", backoff.maxMs, backoff.firstMs, dayMs),
    ...wholeNumber("prefetch", settings.prefetch, 0, 1_000_000),
    ...wholeNumber("retentionMs", retentionMs, 1, 3_650 * dayMs),
    ...wholeNumber("redeliveryHorizonMs", redeliveryHorizonMs, 1, 3_650 * dayMs),
    ...(retentionMs >= redeliveryHorizonMs ? [] : [{ option: "retentionMs", problem: retentionProblem(redeliveryHorizonMs) }]),
    ...wholeNumber("drainDeadlineMs", settings.drainDeadlineMs, 0, dayMs),
    ...wholeNumber("sourceFailuresMax", settings.sourceFailuresMax, 1, 1_000_000),
  ]);
  return settings;
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
