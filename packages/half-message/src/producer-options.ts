import {
  type Clock,
  type ConfigProblem,
  type HttpCaller,
  type OnEvent,
  type Random,
  type Secret,
  signingSecret,
  throwConfigProblems,
} from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { ServiceAddress } from "./service-client.ts";

export interface CreateProducerOptions {
  /** The name under which the service knows the application: 1 to 63 of `a-z 0-9 -`. */
  readonly producer: string;
  /** The half-message service, and the key with scopes prepare, decide and – for `runChecks` – check. */
  readonly service: ServiceAddress;
  /** For checks that the service pushes: `whsec_…`, the secret it signs with. Several while one is being replaced. */
  readonly checks?: { readonly secret: string | Secret | readonly (string | Secret)[] };
  /**
   * The database of the local transactions, its primary, with the migrations of set `barrier`; opened by you and closed by you. Left out:
   * there is no barrier, so `send`, `join` and checks cannot work, and `createChecker` answers for you.
   */
  readonly database?: Database;
  /** Where the barrier's tables lie. Default: the connection's search path. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Whether a key's messages go out in the order of their decisions (default) or of their prepares. */
  readonly order?: "decision" | "prepare";
  /** Milliseconds from prepare to the first check-back. Default 10 000. Less asks about transactions that are under way. */
  readonly checkAfterMs?: number;
  /** Milliseconds from prepare until an undecided half message is suspended. Default 24 hours. */
  readonly suspendAfterMs?: number;
  /** Milliseconds in which a prepare must be acknowledged, repeats included. Default 5 000. */
  readonly prepareDeadlineMs?: number;
  /** Milliseconds for one call. Default 2 000. */
  readonly callTimeoutMs?: number;
  /** How long a commit is reported in the background, in milliseconds. Default 60 000. Then it is left to check-back. */
  readonly decideDeadlineMs?: number;
  /** How long the barrier is asked after a COMMIT without an answer, in milliseconds. Default 5 000. */
  readonly settleDeadlineMs?: number;
  /** How long after its prepare a transaction may join, in milliseconds. Default 1 hour. */
  readonly maxLocalMs?: number;
  /** Milliseconds in which a check is answered; what is not known then is pending. Default 2 000. */
  readonly settleBudgetMs?: number;
  /** Milliseconds that an answer waits for an open transaction on PostgreSQL. Default 300. */
  readonly lockTimeoutMs?: number;
  /** Connections for the barrier, beside the database's pool. Default 2. */
  readonly barrierConnections?: number;
  /** How long the barrier's rows are kept, in milliseconds. Default 7 days; at least twice `suspendAfterMs + maxLocalMs`. */
  readonly barrierRetentionMs?: number;
  /** Instead of connections of our own to the service. */
  readonly http?: HttpCaller;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly onEvent?: OnEvent;
}

const hour = 3_600_000;
const day = 24 * hour;

/** With what is left out put in, but for the ports. */
export interface ProducerSettings {
  readonly order: "decision" | "prepare";
  readonly checkAfterMs: number;
  readonly suspendAfterMs: number;
  readonly prepareDeadlineMs: number;
  readonly callTimeoutMs: number;
  readonly decideDeadlineMs: number;
  readonly settleDeadlineMs: number;
  readonly maxLocalMs: number;
  readonly barrierRetentionMs: number;
  readonly checkSecrets: readonly Secret[];
}

/** Lower and upper ends of what may be set. */
const ranges = {
  checkAfterMs: [100, day],
  suspendAfterMs: [100, 7 * day],
  prepareDeadlineMs: [50, hour],
  callTimeoutMs: [50, hour],
  decideDeadlineMs: [50, day],
  settleDeadlineMs: [50, hour],
  maxLocalMs: [50, 7 * day],
} as const;

/** @throws WAYBILL_CONFIG_INVALID with every problem */
export function producerSettings(options: CreateProducerOptions): ProducerSettings {
  const settings = {
    order: options.order ?? "decision",
    checkAfterMs: options.checkAfterMs ?? 10_000,
    suspendAfterMs: options.suspendAfterMs ?? day,
    prepareDeadlineMs: options.prepareDeadlineMs ?? 5_000,
    callTimeoutMs: options.callTimeoutMs ?? 2_000,
    decideDeadlineMs: options.decideDeadlineMs ?? 60_000,
    settleDeadlineMs: options.settleDeadlineMs ?? 5_000,
    maxLocalMs: options.maxLocalMs ?? hour,
    barrierRetentionMs: options.barrierRetentionMs ?? 7 * day,
  };
  const least = 2 * (settings.suspendAfterMs + settings.maxLocalMs);
  throwConfigProblems("The producer", [
    ...producerProblems(options.producer),
    ...(settings.order === "decision" || settings.order === "prepare"
      ? []
      : [{ option: "order", problem: 'must be "decision" or "prepare"' }]),
    ...Object.entries(ranges).flatMap(([option, [min, max]]) => wholeNumber(option, settings[option as keyof typeof ranges], min, max)),
    ...(options.database === undefined || settings.barrierRetentionMs >= least
      ? []
      : [{ option: "barrierRetentionMs", problem: `must be at least ${least}: twice suspendAfterMs + maxLocalMs` }]),
  ]);
  return { ...settings, checkSecrets: options.checks === undefined ? [] : signingSecrets(options.checks.secret) };
}

/** @throws WAYBILL_CONFIG_INVALID, without the value */
export function signingSecrets(given: string | Secret | readonly (string | Secret)[]): readonly Secret[] {
  const list = Array.isArray(given) ? (given as readonly (string | Secret)[]) : [given as string | Secret];
  return list.map((one) => signingSecret(typeof one === "string" ? one : one.reveal()));
}

export function producerProblems(producer: string): readonly ConfigProblem[] {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(producer)) return [];
  return [{ option: "producer", problem: "must be 1 to 63 of a-z, 0-9 and -, not beginning with -" }];
}

export function wholeNumber(option: string, value: number, min: number, max: number): readonly ConfigProblem[] {
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [{ option, problem: `must be a whole number from ${min} to ${max}` }];
}
