/**
 * A producer on the lower half of @platformatic/kafka, with the four true answers of the port.
 *
 *     send ─▶ who leads? (asked once per topic, and again after an answer that may mean another leader) ─▶ connection to the leader
 *       │                                                                                                      │
 *       │                            encoded ─▶ is the send still running, may its caller write? ─▶ written ─▶ the leader's answer
 *       └ our deadline: settles whatever happens, and from then on the request may not leave
 *
 * One request carries one partition, and its answer is read by us: `stored` and `answered` are what stands there for exactly this
 * partition, whatever else does. Nothing is retried, nothing kept. A partition without leader stops no other partition of its topic.
 */
import { isWaybillError, type Timer } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import {
  kafkaErrorCodes as codes,
  type KafkaBatch,
  type KafkaProducer,
  type KafkaSendOptions,
  type KafkaSendResult,
} from "../producer-client.ts";
import { produceRequest } from "../record-batch.ts";
import type { BrokerAddress, BrokerConnection } from "./broker-connection.ts";
import { openCluster } from "./cluster.ts";
import { type Driver, type DriverMetadata, type DriverPayload, type DriverProduced, loadDriver } from "./driver.ts";
import { type BrokerFailure, failureOf } from "./failure.ts";

/** What the leader may take for its replicas, less than any deadline of ours usually is. */
const brokerTimeoutMs = 8_000;

/** Answers about the records themselves: they say nothing against what we know of the leader. */
const concernsRecords: ReadonlySet<number> = new Set([
  codes.CORRUPT_MESSAGE,
  codes.MESSAGE_TOO_LARGE,
  codes.RECORD_LIST_TOO_LARGE,
  codes.INVALID_TIMESTAMP,
  codes.INVALID_RECORD,
]);

/** Who leads a partition: where it is, or why there is nowhere to send to. */
type Leader = { readonly kind: "found"; readonly address: BrokerAddress } | { readonly kind: "none"; readonly result: KafkaSendResult };

interface Send {
  wasWritten: boolean;
  isSettled: boolean;
  readonly settle: (result: KafkaSendResult) => void;
}

export function platformaticProducer(connection: KafkaConnection, firstSeed: number): KafkaProducer {
  const { clock } = connection;
  const cluster = openCluster(connection, firstSeed);
  const topics = new Map<string, Promise<DriverMetadata>>();
  const underWay = new Set<Send>();
  let isClosing = false;
  let isDestroyed = false;
  let onQuiet: (() => void) | null = null;

  const forget = (topic: string, asked: Promise<DriverMetadata> | undefined): void => {
    if (topics.get(topic) === asked) topics.delete(topic);
  };
  const metadataOf = async (topic: string): Promise<DriverMetadata> => {
    const known = topics.get(topic) ?? cluster.metadata([topic]);
    topics.set(topic, known);
    try {
      return await known;
    } catch (error) {
      forget(topic, known);
      throw error;
    }
  };

  const sendOver = async (batch: KafkaBatch, send: Send, mayWrite: (() => boolean) | undefined): Promise<KafkaSendResult> => {
    const { topic, partition } = batch;
    const driver = await loadDriver();
    let leader: Leader;
    try {
      leader = leaderOf(await metadataOf(topic), topic, partition);
    } catch (error) {
      if (isWaybillError(error)) throw error;
      return notSent("unreachable", failureOf(error));
    }
    if (leader.kind === "none") return leader.result;
    const asked = topics.get(topic);
    let broker: BrokerConnection;
    try {
      broker = await cluster.broker(leader.address, "produce");
    } catch (error) {
      return notSent("leaderUnreachable", failureOf(error));
    }
    const mayLeave = (): boolean => {
      if (send.isSettled) return false;
      if (mayWrite?.() === false) {
        send.settle({ kind: "notSent", reason: "leaseLost", code: null });
        return false;
      }
      send.wasWritten = true;
      return true;
    };
    try {
      const answer = await produce(driver, broker, batch, mayLeave);
      const result = answeredFor(answer, topic, partition);
      if (result.kind === "answered" && !concernsRecords.has(result.code) && asked !== undefined) {
        forget(topic, asked);
        cluster.askElsewhere();
      }
      return result;
    } catch (error) {
      return send.wasWritten ? written(failureOf(error)) : notSent("leaderUnreachable", failureOf(error));
    }
  };

  const giveUp = (send: Send, reason: "deadline" | "closed"): void =>
    send.settle({ kind: send.wasWritten ? "unanswered" : "notSent", reason, code: null });

  const destroy = (): void => {
    isDestroyed = true;
    cluster.destroy();
    for (const one of underWay) giveUp(one, "closed");
    onQuiet?.();
  };

  return {
    send(batch: KafkaBatch, { deadlineMs, mayWrite }: KafkaSendOptions): Promise<KafkaSendResult> {
      if (isClosing) return Promise.resolve({ kind: "notSent", reason: "closed", code: null });
      return new Promise((resolve, reject) => {
        let timer: Timer | null = null;
        const send: Send = {
          wasWritten: false,
          isSettled: false,
          settle(result) {
            if (send.isSettled) return;
            send.isSettled = true;
            underWay.delete(send);
            timer?.cancel();
            resolve(result);
            if (underWay.size === 0) onQuiet?.();
          },
        };
        underWay.add(send);
        timer = clock.setTimer(deadlineMs, () => giveUp(send, "deadline"));
        sendOver(batch, send, mayWrite).then(send.settle, (error: unknown) => {
          // The library is not there at all: a mistake to be told, not an outcome.
          reject(error);
          send.settle({ kind: "notSent", reason: "clientFailed", code: null });
        });
      });
    },
    async close({ deadlineMs }) {
      isClosing = true;
      if (deadlineMs > 0 && underWay.size > 0 && !isDestroyed) {
        const timer = clock.setTimer(deadlineMs, destroy);
        await new Promise<void>((resolve) => {
          const before = onQuiet;
          onQuiet = () => {
            before?.();
            resolve();
          };
        });
        timer.cancel();
      }
      destroy();
    },
  };
}

function leaderOf({ brokers, topics }: DriverMetadata, topic: string, partition: number): Leader {
  const none = (result: KafkaSendResult): Leader => ({ kind: "none", result });
  const found = topics.find(({ name }) => name === topic);
  if (found !== undefined && found.errorCode !== 0) return none({ kind: "notSent", reason: "refused", code: found.errorCode });
  const line = found?.partitions.find(({ partitionIndex }) => partitionIndex === partition);
  if (line === undefined) return none({ kind: "notSent", reason: "partitionUnknown", code: null });
  const address = brokers.find(({ nodeId }) => nodeId === line.leaderId);
  // A leader that is not among the brokers is as good as none.
  if (address === undefined) return none({ kind: "notSent", reason: "refused", code: codes.LEADER_NOT_AVAILABLE });
  return { kind: "found", address };
}

/** The library's request, with bytes of our own. */
function produce(driver: Driver, broker: BrokerConnection, batch: KafkaBatch, mayLeave: () => boolean): Promise<DriverProduced> {
  const { api, parseResponse } = driver.produceV7;
  const createRequest = (): DriverPayload => driver.Writer.create().append(produceRequest(batch, brokerTimeoutMs, driver.crc32c));
  return broker.ask({ api, parseResponse, createRequest }, [], mayLeave);
}

/** What the answer says of exactly this partition. */
function answeredFor({ responses }: DriverProduced, topic: string, partition: number): KafkaSendResult {
  const lines = responses.flatMap(({ name, partitionResponses }) =>
    name === topic ? partitionResponses.filter(({ index }) => index === partition) : [],
  );
  const [line] = lines;
  if (lines.length !== 1 || line === undefined) return { kind: "unanswered", reason: "partitionMissing", code: null };
  if (line.errorCode !== 0) return { kind: "answered", code: line.errorCode };
  if (line.baseOffset < 0n) return { kind: "unanswered", reason: "partitionMissing", code: null };
  return { kind: "stored", baseOffset: line.baseOffset };
}

/** The request did not leave. `reason`: which way is closed. */
function notSent(reason: "unreachable" | "leaderUnreachable", failure: BrokerFailure): KafkaSendResult {
  switch (failure.kind) {
    case "notAuthenticated":
      return { kind: "notSent", reason: failure.kind, code: null };
    case "clientFailed":
      return { kind: "notSent", reason: failure.kind, code: null, cause: failure.cause };
    case "unreachable":
      return { kind: "notSent", reason, code: null, ...("cause" in failure ? { cause: failure.cause } : {}) };
  }
}

/** The request left, and its answer did not come or cannot be read. */
function written(failure: BrokerFailure): KafkaSendResult {
  switch (failure.kind) {
    case "notAuthenticated":
      return { kind: "unanswered", reason: "ambiguous", code: null };
    case "clientFailed":
      return { kind: "unanswered", reason: "ambiguous", code: null, cause: failure.cause };
    case "unreachable":
      return { kind: "unanswered", reason: "connectionLost", code: null, ...("cause" in failure ? { cause: failure.cause } : {}) };
  }
}
