/**
 * What a send to Kafka proves. One pure function and one table: evidence in, outcome out.
 *
 * | Evidence                                                                     | Outcome (scope)                              |
 * |------------------------------------------------------------------------------|----------------------------------------------|
 * | the leader's answer for exactly this partition: error 0 and an offset        | confirmed                                    |
 * | 10 MESSAGE_TOO_LARGE, 18 RECORD_LIST_TOO_LARGE, 87 INVALID_RECORD, alone      | rejected; in a batch: halves                 |
 * | 2 CORRUPT_MESSAGE, alone                                                     | retry (message); in a batch: halves          |
 * | a name that no topic can have; 17 INVALID_TOPIC_EXCEPTION before a write     | rejected                                     |
 * | 19 NOT_ENOUGH_REPLICAS, 32 INVALID_TIMESTAMP, 43, 44, 74, 75, 76             | retry (topic)                                |
 * | 6 NOT_LEADER_OR_FOLLOWER                                                     | unknown (topic): see below                   |
 * | 7 REQUEST_TIMED_OUT, 20 NOT_ENOUGH_REPLICAS_AFTER_APPEND, 56, any other code | unknown (topic)                              |
 * | not one byte of the request left                                             | retry (topic; transport if no broker answers, |
 * |                                                                              | credentials fail, or we may not write)       |
 * | it left, and no answer came: deadline, connection lost, partition missing    | unknown (topic)                              |
 * | the same for all partitions of a call, of which there are several            | unknown (transport)                          |
 *
 * **6 may be stored.** A leader that has appended and waits for its replicas, and is deposed meanwhile, answers 6 – while the
 * replica that takes over may well have the records. To call that "surely not stored" would let a message that is in the log be
 * given up.
 */
import { type FailureScope, type PublishOutcome, type WaybillError, waybillError } from "@waybill/core";
import { kafkaErrorCodes as codes, type KafkaNotSentReason, type KafkaSendResult } from "./producer-client.ts";

const here = "Kafka";

const names: ReadonlyMap<number, string> = new Map(Object.entries(codes).map(([name, code]) => [code, camel(name)]));
const refusesRecords: ReadonlySet<number> = new Set([codes.MESSAGE_TOO_LARGE, codes.RECORD_LIST_TOO_LARGE, codes.INVALID_RECORD]);
const surelyNotStored: ReadonlySet<number> = new Set([
  codes.NOT_ENOUGH_REPLICAS,
  codes.INVALID_TIMESTAMP,
  codes.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  codes.POLICY_VIOLATION,
  codes.FENCED_LEADER_EPOCH,
  codes.UNKNOWN_LEADER_EPOCH,
  codes.UNSUPPORTED_COMPRESSION_TYPE,
]);
const transportReasons: ReadonlySet<KafkaNotSentReason> = new Set(["leaseLost", "closed", "unreachable", "notAuthenticated"]);

/** What a send means for each of its messages. `records`: how many there were. */
export type Proof =
  | { readonly kind: "outcome"; readonly outcome: PublishOutcome }
  /** One of them is refused and nobody says which: none is stored, and each half is to be tried by itself. */
  | { readonly kind: "halves" };

export function proofOf(result: KafkaSendResult, records: number): Proof {
  switch (result.kind) {
    case "stored":
      return proved({ kind: "confirmed" });
    case "answered": {
      const { code } = result;
      const concernsRecords = refusesRecords.has(code) || code === codes.CORRUPT_MESSAGE;
      if (concernsRecords && records > 1) return { kind: "halves" };
      const error = refusal(code);
      if (refusesRecords.has(code)) return proved({ kind: "rejected", error });
      if (code === codes.CORRUPT_MESSAGE) return proved({ kind: "retry", scope: "message", error });
      return proved({ kind: surelyNotStored.has(code) ? "retry" : "unknown", scope: "topic", error });
    }
    case "notSent": {
      const { reason, code, cause } = result;
      if (reason === "refused" && code !== null) return proved(topicRefused(code, 0));
      return proved(notSent(reason, transportReasons.has(reason) ? "transport" : "topic", cause));
    }
    case "unanswered": {
      const { reason, code, cause } = result;
      return proved({ kind: "unknown", scope: "topic", error: transportError(reason, code === null ? null : String(code), cause) });
    }
  }
}

/** A broker said no to the topic before anything was written. */
export function topicRefused(code: number, afterMs: number): PublishOutcome {
  const error = refusal(code);
  if (code === codes.INVALID_TOPIC_EXCEPTION) return { kind: "rejected", error };
  return { kind: "retry", scope: "topic", error, ...(afterMs > 0 ? { afterMs } : {}) };
}

/** Messages that were surely not sent. */
export function notSent(reason: string, scope: FailureScope, cause?: unknown, afterMs = 0): PublishOutcome {
  return { kind: "retry", scope, error: transportError(reason, null, cause), ...(afterMs > 0 ? { afterMs } : {}) };
}

/** A message that no record can be made of. */
export function rejectedAs(reason: string, cause: unknown): PublishOutcome {
  return { kind: "rejected", error: transportError(reason, null, cause) };
}

function proved(outcome: PublishOutcome): Proof {
  return { kind: "outcome", outcome };
}

function refusal(code: number): WaybillError<"WAYBILL_TRANSPORT"> {
  return transportError(names.get(code) ?? "refused", String(code));
}

function transportError(reason: string, brokerCode: string | null, cause?: unknown): WaybillError<"WAYBILL_TRANSPORT"> {
  const code = brokerCode === null ? "" : ` (code ${brokerCode})`;
  return waybillError(
    "WAYBILL_TRANSPORT",
    `${here} did not confirm the message: ${reason}${code}.`,
    { system: "kafka", reason, brokerCode },
    cause,
  );
}

/** `MESSAGE_TOO_LARGE` → `messageTooLarge`. */
function camel(name: string): string {
  return name.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
