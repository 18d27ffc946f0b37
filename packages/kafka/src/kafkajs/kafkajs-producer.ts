/**
 * A producer on kafkajs, with the four true answers of the port.
 *
 *     send ─▶ link (connects once) ─▶ library: metadata ─▶ partitioner ─▶ leader's connection ─▶ frame ─▶ response
 *       │                                                      │                                  │
 *       │                            partition not in metadata: throws,                 written exactly here, if the send
 *       │                            for the library would resolve and send nothing     still runs and its caller may write,
 *       │                                                                               with the records that we made
 *       └ our deadline: settles whatever happens, and from then on the frame may not leave
 *
 * What settles a send is the frame, the response and our deadline; the library's errors only name the reason. A response counts only
 * if it names exactly the one partition that was sent, with error 0 and an offset. An error code counts as the broker's answer only
 * if nothing else on the way can produce it: inside its error path the library fetches metadata, and a failure there hides the first.
 */
import { type Timer } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import { crc32c } from "../crc32c.ts";
import {
  kafkaErrorCodes as codes,
  type KafkaBatch,
  type KafkaProducer,
  type KafkaSendOptions,
  type KafkaSendResult,
} from "../producer-client.ts";
import { recordBatch } from "../record-batch.ts";
import type { DriverMessage, DriverPartition, DriverPartitioner, DriverProducer, DriverReceipt } from "./driver.ts";
import { type ClientFailure, failureOf, innermost } from "./failure.ts";
import { type Link, openLink } from "./link.ts";
import { readProduceFrame, withRecords } from "./produce-frame.ts";

/** What the leader may take for its replicas, less than any deadline of ours usually is. */
const brokerTimeoutMs = 8_000;

/** Answers to a Produce request that no metadata, version or authentication request can get. */
const definiteCodes: ReadonlySet<number> = new Set([
  codes.CORRUPT_MESSAGE,
  codes.NOT_LEADER_OR_FOLLOWER,
  codes.REQUEST_TIMED_OUT,
  codes.MESSAGE_TOO_LARGE,
  codes.RECORD_LIST_TOO_LARGE,
  codes.NOT_ENOUGH_REPLICAS,
  codes.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  codes.INVALID_TIMESTAMP,
  codes.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  codes.POLICY_VIOLATION,
  codes.KAFKA_STORAGE_ERROR,
  codes.FENCED_LEADER_EPOCH,
  codes.UNKNOWN_LEADER_EPOCH,
  codes.UNSUPPORTED_COMPRESSION_TYPE,
  codes.INVALID_RECORD,
]);

/** What the library is given to send. It never leaves: see `produce-frame.ts`. */
const placeholder: Omit<DriverMessage, "partition"> = { key: null, value: null, timestamp: "0", headers: {} };

interface Send {
  readonly records: KafkaBatch["records"];
  readonly mayWrite: (() => boolean) | undefined;
  wasWritten: boolean;
  readonly settle: (result: KafkaSendResult) => void;
}

export interface KafkajsProducerOptions {
  readonly connection: KafkaConnection;
  readonly patchIdleTimer: boolean;
  readonly firstSeed: number;
}

export function kafkajsProducer({ connection, patchIdleTimer, firstSeed }: KafkajsProducerOptions): KafkaProducer {
  const { clock } = connection;
  const underWay = new Map<string, Send>();
  const unknownPartition = new Error("the client's metadata has no such partition");
  const destroyed = new AbortController();
  let linking: Promise<Link<DriverProducer> | ClientFailure> | null = null;
  let isClosing = false;
  let onQuiet: (() => void) | null = null;

  /** Asked for every frame: what leaves in its place. A Produce request leaves with our records or not at all. */
  const leaving = (bytes: Uint8Array): Uint8Array | null => {
    const frame = readProduceFrame(bytes);
    if (frame.kind === "other") return bytes;
    if (frame.kind === "unreadable") {
      // Whichever it was; those that were written go on.
      for (const send of underWay.values()) if (!send.wasWritten) send.settle({ kind: "notSent", reason: "clientFailed", code: null });
      return null;
    }
    const send = underWay.get(placeOf(frame));
    if (send === undefined || send.wasWritten) return null; // given up already, or a second time: nobody asked for it
    const left = withRecords(bytes, frame.recordsAt, recordBatch(send.records, crc32c));
    if (send.mayWrite?.() === false) {
      send.settle({ kind: "notSent", reason: "leaseLost", code: null });
      return null;
    }
    send.wasWritten = true;
    return left;
  };

  const link = (): Promise<Link<DriverProducer> | ClientFailure> => {
    linking ??= openLink<DriverProducer>({
      connection,
      patchIdleTimer,
      firstSeed,
      leaving,
      signal: destroyed.signal,
      open: (kafka) =>
        kafka.producer({
          createPartitioner: checkedPartition(unknownPartition),
          idempotent: false, // its sequences are reused under concurrent sends: one message replaces another
          allowAutoTopicCreation: false,
          retry: { retries: 0 }, // its retries skip brokers that answered, choose partitions anew and reorder
        }),
    });
    return linking;
  };

  const sendOver = async (batch: KafkaBatch, send: Send): Promise<KafkaSendResult> => {
    const linked = await link();
    if (linked.kind !== "linked") return unlinked(linked);
    try {
      const receipts = await linked.client.send({
        topic: batch.topic,
        acks: -1,
        timeout: brokerTimeoutMs,
        messages: [{ ...placeholder, partition: batch.partition }],
      });
      return received(receipts, batch, send.wasWritten);
    } catch (error) {
      if (innermost(error) === unknownPartition) return { kind: "notSent", reason: "partitionUnknown", code: null };
      return send.wasWritten ? written(failureOf(error)) : unwritten(failureOf(error));
    }
  };

  const giveUp = (send: Send, reason: "deadline" | "closed"): void =>
    send.settle({ kind: send.wasWritten ? "unanswered" : "notSent", reason, code: null });

  const send = (batch: KafkaBatch, { deadlineMs, mayWrite }: KafkaSendOptions): Promise<KafkaSendResult> => {
    if (isClosing) return Promise.resolve({ kind: "notSent", reason: "closed", code: null });
    return new Promise((resolve, reject) => {
      const place = placeOf(batch);
      let timer: Timer | null = null;
      const started: Send = {
        records: batch.records,
        mayWrite,
        wasWritten: false,
        settle(result) {
          if (underWay.get(place) !== started) return;
          underWay.delete(place);
          timer?.cancel();
          resolve(result);
          if (underWay.size === 0) onQuiet?.();
        },
      };
      underWay.set(place, started);
      timer = clock.setTimer(deadlineMs, () => giveUp(started, "deadline"));
      sendOver(batch, started).then(started.settle, (error: unknown) => {
        // The library is not there at all: a mistake to be told, not an outcome.
        reject(error);
        started.settle({ kind: "notSent", reason: "clientFailed", code: null });
      });
    });
  };

  const destroy = (): void => {
    destroyed.abort();
    for (const one of underWay.values()) giveUp(one, "closed");
    onQuiet?.();
  };

  return {
    send,
    async close({ deadlineMs }) {
      isClosing = true;
      if (deadlineMs > 0 && underWay.size > 0 && !destroyed.signal.aborted) {
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

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${partition} ${topic}`;
}

/** Takes the partition it is given, if there is one: a partition that is not in the metadata would be sent nowhere and reported as sent. */
function checkedPartition(unknownPartition: Error): DriverPartitioner {
  return () => {
    let seen: readonly DriverPartition[] | null = null;
    let known: ReadonlySet<number> = new Set();
    return ({ partitionMetadata, message: { partition } }) => {
      if (partitionMetadata !== seen) {
        seen = partitionMetadata;
        known = new Set(partitionMetadata.map(({ partitionId }) => partitionId));
      }
      if (partition === undefined || !known.has(partition)) throw unknownPartition;
      return partition;
    };
  };
}

/** What the library resolved with. It resolves with whatever brokers said, and with nothing at all where it asked none. */
function received(receipts: readonly DriverReceipt[], { topic, partition }: KafkaBatch, wasWritten: boolean): KafkaSendResult {
  const [receipt] = receipts;
  if (receipts.length === 1 && receipt?.topicName === topic && receipt.partition === partition && receipt.errorCode === 0) {
    const offset = receipt.baseOffset ?? receipt.offset ?? "";
    if (/^\d+$/.test(offset)) return { kind: "stored", baseOffset: BigInt(offset) };
  }
  return wasWritten
    ? { kind: "unanswered", reason: "partitionMissing", code: null }
    : { kind: "notSent", reason: "partitionUnknown", code: null };
}

/** There is no connection: whatever failed, nothing was sent. */
function unlinked(failure: ClientFailure): KafkaSendResult {
  if (failure.kind === "notAuthenticated") return { kind: "notSent", reason: failure.kind, code: null };
  return { kind: "notSent", reason: "unreachable", code: null, cause: failure.cause };
}

/** There were connections, but the frame did not leave. */
function unwritten(failure: ClientFailure): KafkaSendResult {
  switch (failure.kind) {
    case "answered":
      return { kind: "notSent", reason: "refused", code: failure.code, cause: failure.cause };
    case "notAuthenticated":
      return { kind: "notSent", reason: failure.kind, code: null };
    case "unreachable":
    case "timedOut":
      return { kind: "notSent", reason: "leaderUnreachable", code: null, cause: failure.cause };
    case "clientFailed":
      return { kind: "notSent", reason: failure.kind, code: null, cause: failure.cause };
  }
}

/** The frame left. */
function written(failure: ClientFailure): KafkaSendResult {
  switch (failure.kind) {
    case "answered":
      if (definiteCodes.has(failure.code)) return { kind: "answered", code: failure.code };
      return { kind: "unanswered", reason: "ambiguous", code: failure.code, cause: failure.cause };
    case "unreachable":
      return { kind: "unanswered", reason: "connectionLost", code: null, cause: failure.cause };
    case "timedOut":
      return { kind: "unanswered", reason: "deadline", code: null, cause: failure.cause };
    case "notAuthenticated":
      return { kind: "unanswered", reason: "ambiguous", code: null };
    case "clientFailed":
      return { kind: "unanswered", reason: "ambiguous", code: null, cause: failure.cause };
  }
}
