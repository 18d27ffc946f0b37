/**
 * A look at a cluster and at topics, for whoever wants to know before messages depend on it. Reads only, creates nothing; needs the right to
 * describe topics and their settings. It asks over kafkajs, whichever client publishes.
 */
import { type ConfigProblem, throwConfigProblems, topicProblem, type WaybillError, waybillError, withDeadline } from "@waybill/core";
import { checkConnection, type KafkaConnectionOptions } from "./connection-options.ts";
import type { ClientFailure } from "./kafkajs/failure.ts";
import { failureOf } from "./kafkajs/failure.ts";
import { type IdleTimerState, idleTimerState } from "./kafkajs/idle-timer.ts";
import { openInspector } from "./kafkajs/open-inspector.ts";
import { kafkaErrorCodes } from "./producer-client.ts";
import { type KafkaFinding, type KafkaTopicFacts, topicFindings } from "./topic-lint.ts";

export interface InspectKafkaOptions extends KafkaConnectionOptions {
  readonly topics: readonly string[];
  /** Of them, those to which messages without a key go. Default: none that we know of. */
  readonly keylessTopics?: readonly string[];
  /** Default 10 000, for everything. */
  readonly deadlineMs?: number;
}

export interface KafkaReport {
  readonly clusterId: string;
  readonly brokers: number;
  /** Of kafkajs in this process. */
  readonly idleTimer: IdleTimerState;
  /** Of topics that are there. */
  readonly topics: readonly KafkaTopicFacts[];
  readonly findings: readonly KafkaFinding[];
}

/**
 * Inspects a cluster.
 *
 * @throws WAYBILL_TRANSPORT if no broker can be asked: `unreachable`, `notAuthenticated`, `deadline`
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong with the options
 */
export async function inspectKafka(options: InspectKafkaOptions): Promise<KafkaReport> {
  const { topics, keylessTopics = [], deadlineMs = 10_000 } = options;
  const problems: ConfigProblem[] = [];
  const connection = checkConnection(options, problems);
  for (const topic of topics) {
    const rule = topicProblem(topic);
    if (rule !== null) problems.push({ option: "topics", problem: `must be named by ${rule}` });
  }
  throwConfigProblems("The look at Kafka", problems);

  const destroyed = new AbortController();
  try {
    const looked = await withDeadline(connection.clock, deadlineMs, look());
    if (looked.kind === "late") throw unusable("deadline", null);
    return looked.value;
  } finally {
    destroyed.abort();
  }

  async function look(): Promise<KafkaReport> {
    const opened = await openInspector(connection, destroyed.signal);
    if (opened.kind !== "linked") throw failed(opened);
    const { client } = opened;
    const findings: KafkaFinding[] = [];
    const found: KafkaTopicFacts[] = [];
    let cluster: { readonly clusterId: string; readonly brokers: number };
    try {
      cluster = await client.cluster();
    } catch (error) {
      throw failed(failureOf(error));
    }
    for (const topic of new Set(topics)) {
      try {
        const facts = await client.topic(topic);
        found.push(facts);
        findings.push(...topicFindings(facts, keylessTopics.includes(topic)));
        if (Object.keys(facts.settings).length === 0) findings.push(unseen(topic));
      } catch (error) {
        const failure = failureOf(error);
        if (failure.kind !== "answered") throw failed(failure);
        findings.push(refusedTopic(topic, failure.code));
      }
    }
    const { sasl, tls } = connection;
    if (tls === null && (sasl?.mechanism === "plain" || sasl?.mechanism === "oauthbearer")) findings.push(readable);
    const idleTimer = idleTimerState();
    if (connection.client === "kafkajs" && idleTimer === "unknown") findings.push(idleTimers);
    return { ...cluster, idleTimer, topics: found, findings };
  }
}

const readable: KafkaFinding = {
  level: "warned",
  topic: null,
  rule: "ssl",
  found: "no TLS",
  advice: "Credentials and messages travel readably: use ssl, or at least a scram mechanism.",
};

const idleTimers: KafkaFinding = {
  level: "warned",
  topic: null,
  rule: "idleTimer",
  found: "unknown",
  advice: "This kafkajs is not the one that was read, so its idle connections run 700 timers a second: install kafkajs 2.2.4.",
};

function unseen(topic: string): KafkaFinding {
  return {
    level: "warned",
    topic,
    rule: "settings",
    found: "not shown",
    advice: "This user may not read the topic's settings (DescribeConfigs): they were not judged.",
  };
}

function refusedTopic(topic: string, code: number): KafkaFinding {
  const { UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, TOPIC_AUTHORIZATION_FAILED } = kafkaErrorCodes;
  const advice = {
    [UNKNOWN_TOPIC_OR_PARTITION]: "There is no such topic, or this user may not see it: messages wait until there is. Create it.",
    [LEADER_NOT_AVAILABLE]: "A partition has no leader, and with kafkajs that stops its whole topic: bring its brokers back.",
    [TOPIC_AUTHORIZATION_FAILED]: "This user may not describe the topic: grant Describe and Write.",
  }[code];
  return {
    level: "refused",
    topic,
    rule: "topic",
    found: `error ${code}`,
    advice: advice ?? "The brokers say nothing about this topic.",
  };
}

function failed(failure: ClientFailure): WaybillError<"WAYBILL_TRANSPORT"> {
  if (failure.kind === "notAuthenticated") return unusable("notAuthenticated", null);
  if (failure.kind === "answered") return unusable("refused", String(failure.code), failure.cause);
  return unusable(failure.kind === "timedOut" ? "deadline" : "unreachable", null, failure.cause);
}

function unusable(reason: string, brokerCode: string | null, cause?: unknown): WaybillError<"WAYBILL_TRANSPORT"> {
  return waybillError("WAYBILL_TRANSPORT", `Kafka cannot be asked: ${reason}.`, { system: "kafka", reason, brokerCode }, cause);
}
