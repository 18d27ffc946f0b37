/**
 * What an attempt to publish to RabbitMQ proves. One pure function and one table: evidence in, outcome out.
 *
 * | Evidence                                                                  | Outcome (scope)                               |
 * |---------------------------------------------------------------------------|-----------------------------------------------|
 * | ack, and the message was not returned                                     | confirmed                                     |
 * | ack after a return: no queue took it                                      | retry (topic), `unroutable`                   |
 * | nack: one queue refused it, another may have stored it                    | unknown (topic), `nacked`                     |
 * | the channel was closed by the broker while only this message was on it:   |                                               |
 * |   406, such as a message beyond the broker's limit                        | rejected                                      |
 * |   404, 403                                                                | retry (topic)                                 |
 * |   any other code                                                          | unknown (topic)                               |
 * | the same, with others on the channel                                      | unknown (topic)                               |
 * | no confirm by the deadline; the connection was heard of since             | unknown (topic); the channel is closed        |
 * | no confirm by the deadline; the connection is silent                      | unknown (transport); the connection is reset  |
 * | no confirm by the deadline while an alarm blocks the broker               | unknown (transport); everything stays         |
 * | connection lost, blocked for longer than allowed, closed by us            | unknown (transport)                           |
 * | the message cannot be made into one of the protocol's                     | rejected                                      |
 * | not written: the exchange's own fault, or no free place in time           | retry (topic)                                 |
 * | not written: no connection, blocked, lease lost, closed                   | retry (transport)                             |
 */
import { type FailureScope, type PublishOutcome, type WaybillError, waybillError } from "@waybill/core";
import type { LinkFailure } from "./link.ts";

export type Evidence =
  | { readonly kind: "acked"; readonly returnedCode: string | null }
  | { readonly kind: "nacked" }
  /** `isAlone`: nothing else was on the channel, so this message is what the broker objected to. */
  | { readonly kind: "channelException"; readonly isAlone: boolean; readonly failure: LinkFailure }
  /** It was written, and nothing was heard about it. */
  | { readonly kind: "unheard"; readonly scope: "topic" | "transport"; readonly failure: LinkFailure; readonly afterMs?: number };

/** `exchange` names the receiver in the error's message. */
export function outcomeOf(evidence: Evidence, exchange: string): PublishOutcome {
  switch (evidence.kind) {
    case "acked":
      if (evidence.returnedCode === null) return { kind: "confirmed" };
      return notSent(exchange, { reason: "unroutable", brokerCode: evidence.returnedCode, cause: undefined }, "topic");
    case "nacked":
      return { kind: "unknown", scope: "topic", error: transportError(exchange, failed("nacked")) };
    case "channelException": {
      const { isAlone, failure } = evidence;
      if (isAlone && failure.brokerCode === "406") return rejectedAs(exchange, { ...failure, reason: "refused" });
      if (isAlone && (failure.brokerCode === "404" || failure.brokerCode === "403")) return notSent(exchange, failure, "topic");
      return { kind: "unknown", scope: "topic", error: transportError(exchange, failure) };
    }
    case "unheard": {
      const { scope, failure, afterMs } = evidence;
      return { kind: "unknown", scope, error: transportError(exchange, failure), ...(afterMs === undefined ? {} : { afterMs }) };
    }
  }
}

/** A failure of ours, without a code of the broker's. */
export function failed(reason: string, cause?: unknown): LinkFailure {
  return { reason, brokerCode: null, cause };
}

/** A message that was surely not written. */
export function notSent(exchange: string, failure: LinkFailure, scope: FailureScope, afterMs?: number): PublishOutcome {
  return { kind: "retry", scope, error: transportError(exchange, failure), ...(afterMs === undefined ? {} : { afterMs }) };
}

/** A message that RabbitMQ cannot take as it is. */
export function rejectedAs(exchange: string, failure: LinkFailure): PublishOutcome {
  return { kind: "rejected", error: transportError(exchange, failure) };
}

function transportError(exchange: string, { reason, brokerCode, cause }: LinkFailure): WaybillError<"WAYBILL_TRANSPORT"> {
  const facts = { system: "rabbitmq", reason, brokerCode };
  return waybillError("WAYBILL_TRANSPORT", `RabbitMQ exchange ${exchange} did not take the message: ${reason}.`, facts, cause);
}
