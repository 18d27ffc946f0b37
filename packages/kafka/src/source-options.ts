import { type ConfigProblem, throwConfigProblems } from "@waybill/core";
import { checkConnection, type KafkaConnection, type KafkaConnectionOptions } from "./connection-options.ts";

export interface KafkaSourceOptions extends KafkaConnectionOptions {
  /** The consumer group. Members share the partitions; what one group has settled no other has. */
  readonly groupId: string;
  /** They must exist. A group that comes for the first time, or after its offsets expired, reads them from the beginning. */
  readonly topics: readonly string[];
  /** The deadline of the handlers behind this source, in milliseconds. Default 60 000, as the inbox's. After twice that without a settlement, though work waits, the source starts anew. */
  readonly handlerDeadlineMs?: number;
  /** Messages handed over at a time, of all partitions together. Default 16: twice the inbox's `concurrency`, so that none of its places waits for us. */
  readonly inFlightMax?: number;
  /**
   * How many messages of a partition may be handed over beyond what the group has committed. Default 1 000. So many the inbox counts starts
   * of, per partition, after a start or a rebalance; and while one message comes again and again, so many others go on behind it.
   */
  readonly windowMax?: number;
  /** Bytes of messages held at a time, their costs in memory included. Default 64 MiB. */
  readonly bytesMax?: number;
  /** Milliseconds without a heartbeat after which the group gives our partitions to others. Default 30 000; brokers refuse less than 6 000 unless told otherwise. */
  readonly sessionTimeoutMs?: number;
  /** Milliseconds that the group waits for its members when it is shared out anew. Default 60 000. */
  readonly rebalanceTimeoutMs?: number;
  /** Milliseconds between heartbeats, at most a third of the session. Default 3 000. */
  readonly heartbeatMs?: number;
  /** Milliseconds between commits, at least. Default 250. What was settled since the last one is delivered again after a crash. */
  readonly commitEveryMs?: number;
  /** Milliseconds without a fetch, or without a heartbeat, after which the client is taken for dead. Default 30 000; for a partition that has messages and hands over none, twice that. As often the lag is told. */
  readonly silenceMs?: number;
  /** How often in a row the client is built anew without any progress before `consume` rejects. Default 10: some four minutes. */
  readonly rebuildsMax?: number;
  /** Milliseconds that handlers get when the source is stopped, before the last commit. Default 15 000. What has not ended by then is delivered again. */
  readonly drainDeadlineMs?: number;
  /** With kafkajs: `true` (default) takes the idle timers out of exactly version 2.2.4, for the whole process. */
  readonly patchIdleTimer?: boolean;
}

type Numbers = Required<Omit<KafkaSourceOptions, keyof KafkaConnectionOptions | "groupId" | "topics" | "patchIdleTimer">>;

/** The options with their defaults. */
export interface KafkaSourceSettings extends Numbers, Pick<KafkaSourceOptions, "groupId" | "topics" | "onEvent"> {
  readonly connection: KafkaConnection;
  readonly patchIdleTimer: boolean;
}

const dayMs = 86_400_000;
const mebibyte = 1_048_576;

const limitsOf: Readonly<Record<keyof Numbers, readonly [min: number, max: number]>> = {
  handlerDeadlineMs: [1, dayMs],
  inFlightMax: [1, 900],
  windowMax: [1, 1_000_000],
  bytesMax: [mebibyte, 1_024 * mebibyte],
  sessionTimeoutMs: [1_000, 1_800_000],
  rebalanceTimeoutMs: [1_000, 1_800_000],
  heartbeatMs: [100, 600_000],
  commitEveryMs: [1, 60_000],
  silenceMs: [1_000, 3_600_000],
  rebuildsMax: [0, 1_000_000],
  drainDeadlineMs: [0, dayMs],
};

/** @throws WAYBILL_CONFIG_INVALID with every problem */
export function sourceSettings(options: KafkaSourceOptions): KafkaSourceSettings {
  const problems: ConfigProblem[] = [];
  const numbers: Numbers = {
    handlerDeadlineMs: 60_000,
    inFlightMax: 16,
    windowMax: 1_000,
    bytesMax: 64 * mebibyte,
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 60_000,
    heartbeatMs: 3_000,
    commitEveryMs: 250,
    silenceMs: 30_000,
    rebuildsMax: 10,
    drainDeadlineMs: 15_000,
    ...Object.fromEntries(Object.entries(options).filter(([option, value]) => Object.hasOwn(limitsOf, option) && value !== undefined)),
  };
  for (const [option, [min, max]] of Object.entries(limitsOf)) {
    const value: unknown = numbers[option as keyof Numbers];
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
      problems.push({ option, problem: `must be a whole number from ${min} to ${max}` });
  }
  if (numbers.heartbeatMs * 3 > numbers.sessionTimeoutMs)
    problems.push({ option: "heartbeatMs", problem: "must be at most a third of sessionTimeoutMs" });
  problems.push(...nameProblems(options));
  const connection = checkConnection(options, problems);
  throwConfigProblems("The Kafka source", problems);
  const { groupId, topics, onEvent, patchIdleTimer = true } = options;
  return { ...numbers, groupId, topics: [...new Set(topics)], connection, patchIdleTimer, ...(onEvent === undefined ? {} : { onEvent }) };
}

function nameProblems({ groupId, topics }: KafkaSourceOptions): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (typeof groupId !== "string" || !/^[\x21-\x7e]{1,255}$/.test(groupId))
    problems.push({ option: "groupId", problem: "must be 1 to 255 printable ASCII characters" });
  const isTopic = (topic: unknown): boolean => typeof topic === "string" && /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/.test(topic);
  if (!Array.isArray(topics) || topics.length === 0 || !topics.every(isTopic))
    problems.push({ option: "topics", problem: "must name at least one topic, each 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-'" });
  return problems;
}
