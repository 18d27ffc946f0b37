/** What a relay is given, checked once and completed with defaults. */
import { createHash } from "node:crypto";
import {
  type BackoffPolicy,
  type Clock,
  type ConfigProblem,
  type OnEvent,
  type Random,
  systemClock,
  systemRandom,
  type Transport,
  throwConfigProblems,
} from "@waybill/core";
import { checkName, type Database } from "@waybill/sql";
import { describePolicies, type KeyPolicy, policyProblems } from "./key-policy.ts";
import { describeFilter, filterProblems, type MessageFilter } from "./message-filter.ts";

export interface RelayOptions extends MessageFilter {
  /** The database with the ledger. Four connections of its own are opened, however many rows wait. Yours to close. */
  readonly database: Database;
  /** Where messages go. Yours to close, after `run` has resolved. */
  readonly transport: Transport;
  /** Tells this relay's transport and destination from another's, without credentials: part of the configuration's hash. Default empty. */
  readonly transportName?: string;
  /** The ledger to read. Default `default`. */
  readonly stream?: string;
  /** The reader's name. Default `default`. */
  readonly subscription?: string;
  /** Where a subscription begins that was never run: at the first message still there, or after the last one. Default `beginning`. */
  readonly from?: "beginning" | "now";
  /** Schema of the tables. Default: the connection's search path. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /**
   * Default `hold`: order per key is kept; a dead letter blocks its key until somebody decides. `skip`: nothing waits. `stop`: its whole
   * topic waits until none of the topic's messages is dead or released.
   */
  readonly keyPolicy?: KeyPolicy;
  /** Policies of single topics, by name, instead of `keyPolicy`. Default none. */
  readonly keyPolicies?: Readonly<Record<string, KeyPolicy>>;
  /**
   * Default 10 000, from 500. A standby takes over this long after its holder died; the holder must renew within it, so a shorter
   * lease is lost more easily to a slow database.
   */
  readonly leaseMs?: number;
  /** Default 10 000: after this an unanswered publish is `unknown` and repeated. */
  readonly publishDeadlineMs?: number;
  /** Default 500: messages in one call of the transport. More is faster, and repeats more after a crash. */
  readonly batchMax?: number;
  /** Default 4 194 304 bytes of payload in one call of the transport. */
  readonly batchBytesMax?: number;
  /** Default 4: calls of the transport at a time for one topic. A slow key delays only its own call. */
  readonly callsPerTopicMax?: number;
  /** Default 16: calls of the transport at a time. */
  readonly callsMax?: number;
  /**
   * Default 10 000: messages in memory with their payloads. One topic may fill half; what finds no room is parked, and brought when its
   * turn comes. What is brought, at most half as much again, comes on top.
   */
  readonly loadedMax?: number;
  /** Default 33 554 432: the same for bytes of payload. */
  readonly loadedBytesMax?: number;
  /** Default 2: wait between two reads while messages come. Lower costs statements, higher costs latency. */
  readonly pollMinMs?: number;
  /** Default 100: wait between two reads when nothing came for a second. */
  readonly pollMaxMs?: number;
  /**
   * PostgreSQL, not behind a pooler. Default false. True: one connection more is opened, over which writers that call `createHint` of the outbox wake this relay.
   * Polling goes on as always; a hint that is lost costs one wait of it.
   */
  readonly hint?: boolean;
  /** Default 20: tries of one message for its own sake, before it becomes a dead letter. Outages use up none. */
  readonly attemptsMax?: number;
  /** Wait between tries of one message. Default 100 ms doubling to 60 s, with full jitter. */
  readonly messageBackoff?: BackoffPolicy;
  /** Wait after a topic failed. Default 100 ms doubling to 5 s, with full jitter. */
  readonly topicBackoff?: BackoffPolicy;
  /**
   * Default 5: after so many failures of a topic in a row – its own, or messages of which nobody knows whether they arrived – its breaker is
   * open: an alarm, and such messages use up no attempts, until one is confirmed.
   */
  readonly breakerFailuresMax?: number;
  /**
   * Default 60 000: when a topic or key has waited this long, its messages are copied to the spill, so that the cursor, and with it history,
   * goes on without them. Less copies more, more keeps more ids in the cursor: at 100 000 nothing new is read.
   */
  readonly spillAfterMs?: number;
  /** Wait after the transport or the database failed. Default 50 ms doubling to 3.2 s, with full jitter. */
  readonly outageBackoff?: BackoffPolicy;
  /** Default 200: how often the cursor is saved while it moves. A crash repeats what was confirmed since. */
  readonly saveMs?: number;
  /** Default 10 000: after this a statement is given up, its connection destroyed and everything read again from the saved cursor. */
  readonly statementDeadlineMs?: number;
  /** Default 500: how long a stop waits for what is being published. */
  readonly drainMs?: number;
  /** Default 30 days: decided dead letters are kept this long. */
  readonly decidedRetentionMs?: number;
  /**
   * MySQL and MariaDB. Default 30 000: so long a hole is left to its writer before a row of ours takes its id. A writer that is slower than that
   * fails loudly, and `append` repeats its insert; more keeps holes, and with them history, for longer.
   */
  readonly holeFenceAfterMs?: number;
  /**
   * Default 1 day, from 1 hour: history that every subscription has passed is kept this long, then removed in small steps; on PostgreSQL by
   * partitions, so that up to a partition's worth more is kept.
   */
  readonly retentionMs?: number;
  /** Default 7 days, from 1 day: so long an id that a caller chose is remembered, and a repeat of it noticed. */
  readonly idRetentionMs?: number;
  /**
   * PostgreSQL: ids of a new partition, from 1 000; ten times your largest burst. Default: a twentieth of what came in during the last
   * `retentionMs`, at least a million. Less removes history in smaller pieces; above some fifty partitions everything costs more.
   */
  readonly partitionIds?: number;
  readonly onEvent?: OnEvent;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** The options with every default in place. */
export type RelaySettings = Required<
  Omit<RelayOptions, "schema" | "prefix" | "onEvent" | "transportName" | "partitionIds" | keyof MessageFilter>
> & {
  readonly filter: MessageFilter;
  /** null: by what comes in. */
  readonly partitionIds: number | null;
  readonly onEvent: OnEvent | undefined;
  /** Stored with the lease, so that relays of one subscription notice that they are configured differently. */
  readonly configHash: string;
};

const dayMs = 86_400_000;

/** @throws WAYBILL_CONFIG_INVALID with every problem at once; WAYBILL_IDENTIFIER_INVALID */
export function relaySettings(options: RelayOptions): RelaySettings {
  const settings = {
    database: options.database,
    transport: options.transport,
    stream: checkName("stream", options.stream ?? "default"),
    subscription: checkName("subscription", options.subscription ?? "default"),
    from: options.from ?? "beginning",
    filter: filterOf(options),
    keyPolicy: options.keyPolicy ?? "hold",
    keyPolicies: { ...options.keyPolicies },
    leaseMs: options.leaseMs ?? 10_000,
    publishDeadlineMs: options.publishDeadlineMs ?? 10_000,
    batchMax: options.batchMax ?? 500,
    batchBytesMax: options.batchBytesMax ?? 4_194_304,
    callsPerTopicMax: options.callsPerTopicMax ?? 4,
    callsMax: options.callsMax ?? 16,
    loadedMax: options.loadedMax ?? 10_000,
    loadedBytesMax: options.loadedBytesMax ?? 33_554_432,
    pollMinMs: options.pollMinMs ?? 2,
    pollMaxMs: options.pollMaxMs ?? 100,
    hint: options.hint ?? false,
    attemptsMax: options.attemptsMax ?? 20,
    messageBackoff: options.messageBackoff ?? { firstMs: 100, maxMs: 60_000 },
    topicBackoff: options.topicBackoff ?? { firstMs: 100, maxMs: 5_000 },
    outageBackoff: options.outageBackoff ?? { firstMs: 50, maxMs: 3_200 },
    breakerFailuresMax: options.breakerFailuresMax ?? 5,
    spillAfterMs: options.spillAfterMs ?? 60_000,
    saveMs: options.saveMs ?? 200,
    statementDeadlineMs: options.statementDeadlineMs ?? 10_000,
    drainMs: options.drainMs ?? 500,
    decidedRetentionMs: options.decidedRetentionMs ?? 30 * dayMs,
    holeFenceAfterMs: options.holeFenceAfterMs ?? 30_000,
    retentionMs: options.retentionMs ?? dayMs,
    idRetentionMs: options.idRetentionMs ?? 7 * dayMs,
    partitionIds: options.partitionIds ?? null,
    onEvent: options.onEvent,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  };
  throwConfigProblems("The relay", problemsOf(settings));
  const { attemptsMax } = settings;
  const policies = describePolicies(settings);
  const described = JSON.stringify([options.transportName ?? "", ...policies, attemptsMax, ...describeFilter(settings.filter)]);
  return { ...settings, configHash: createHash("sha256").update(described).digest("hex").slice(0, 16) };
}

function filterOf({ topics, types }: MessageFilter): MessageFilter {
  return { ...(topics === undefined ? {} : { topics }), ...(types === undefined ? {} : { types }) };
}

/** Numbers, and the range each must lie in. */
const bounds = {
  leaseMs: [500, 3_600_000],
  publishDeadlineMs: [50, 600_000],
  batchMax: [1, 10_000],
  batchBytesMax: [1, 268_435_456],
  callsPerTopicMax: [1, 1_000],
  callsMax: [1, 1_000],
  loadedMax: [1, 1_000_000],
  loadedBytesMax: [1, 4_294_967_296],
  pollMinMs: [1, 60_000],
  pollMaxMs: [1, 60_000],
  attemptsMax: [1, 1_000_000],
  breakerFailuresMax: [1, 1_000],
  spillAfterMs: [10, dayMs],
  saveMs: [10, 60_000],
  statementDeadlineMs: [50, 600_000],
  drainMs: [0, 60_000],
  decidedRetentionMs: [60_000, 3_650 * dayMs],
  holeFenceAfterMs: [10, 3_600_000],
  retentionMs: [3_600_000, 3_650 * dayMs],
  idRetentionMs: [dayMs, 3_650 * dayMs],
  partitionIds: [1_000, 1_000_000_000],
} as const;

function problemsOf(settings: Omit<RelaySettings, "configHash">): ConfigProblem[] {
  const problems: ConfigProblem[] = [...filterProblems(settings.filter)];
  for (const [option, [min, max]] of Object.entries(bounds)) {
    const value = settings[option as keyof typeof bounds];
    if (value === null) continue;
    if (!Number.isInteger(value) || value < min || value > max) problems.push({ option, problem: `a whole number from ${min} to ${max}` });
  }
  if (settings.hint && settings.database.dialect !== "postgres")
    problems.push({ option: "hint", problem: "false: only PostgreSQL can notify; wake() of a relay works in its own process" });
  if (settings.pollMinMs > settings.pollMaxMs) problems.push({ option: "pollMinMs", problem: "at most pollMaxMs" });
  problems.push(...policyProblems(settings));
  if (settings.from !== "beginning" && settings.from !== "now") problems.push({ option: "from", problem: "beginning or now" });
  for (const option of ["messageBackoff", "topicBackoff", "outageBackoff"] as const) {
    const { firstMs, maxMs } = settings[option];
    if (!(firstMs > 0 && maxMs >= firstMs)) problems.push({ option, problem: "firstMs above 0 and maxMs at least firstMs" });
  }
  return problems;
}
