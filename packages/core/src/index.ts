// Messages and the catalogue that makes them

export type { AlertHook, AlertHookParts } from "./alert-hook.ts";
export { alertHookDefaults, createAlertHook } from "./alert-hook.ts";
export type { Alert, Alerts, OnAlert } from "./alerts.ts";
export { createAlerts } from "./alerts.ts";
export type { BackoffPolicy } from "./backoff.ts";
export { backoffMs } from "./backoff.ts";
export type { Breaker, BreakerPolicy } from "./breaker.ts";
export { afterFailure, afterSuccess, closedBreaker, mayPass } from "./breaker.ts";
export type { Catalogue, MessageDefinition, MessageDetails, MessageOptions, MessageType } from "./catalogue.ts";
export { catalogue, checkSize, isFromCatalogue, message, messageOfType } from "./catalogue.ts";
export type { Clock, Deadlined, Timer } from "./clock.ts";
export { systemClock, wait, withDeadline } from "./clock.ts";
export type { CloudEventAttributes, CloudEventProblem } from "./cloud-events.ts";
export { fromCloudEvent, toCloudEvent } from "./cloud-events.ts";
export { isDeliveryHeader, splitDeliveryHeaders } from "./delivery-headers.ts";
export type { EntityVersion, VersionSource } from "./entity-version.ts";
export type { ConfigProblem, PayloadIssue, WaybillErrorCode, WaybillErrorFacts } from "./errors.ts";
// Failure: errors, backoff, breaker, brake
export { configProblemsOf, isWaybillError, throwConfigProblems, WaybillError, waybillError } from "./errors.ts";
export type { BarrierEvent, DeliveryEvent, HalfMessageEvent, ProducerEvent } from "./events/half-message-events.ts";
export type { InboxEvent } from "./events/inbox-events.ts";
export type { RelayEvent, RelaysEvent } from "./events/relay-events.ts";
export type { HttpEvent, KafkaEvent, RabbitmqEvent, SourceEvent } from "./events/transport-events.ts";
export type { OnEvent, OutboxEvent, SqlEvent, WaybillEvent } from "./events.ts";
// Telemetry
export { emit } from "./events.ts";
export type { Histogram, MetricFamily, MetricLabels, MetricSample } from "./exposition.ts";
export { exposition, expositionType, histogram, joinFamilies } from "./exposition.ts";
export type { AttemptCounts, FailureRate } from "./failure-rate.ts";
export { failureRate } from "./failure-rate.ts";
export { contentTypeProblem, keyProblem, sourceProblem, topicProblem, typeProblem } from "./grammar.ts";
// Envelope: headers, trace, CloudEvents, signatures
export { confirmByHeader, percentDecode, percentEncode, replayHeader, sourceHeader, validateHeaders } from "./headers.ts";
export type { HttpAnswer, HttpCaller, HttpCallOptions, HttpReach, HttpRequest } from "./http-caller.ts";
export { encodeJson } from "./json.ts";
export { lanesByTopic } from "./lanes-by-topic.ts";
export { limits } from "./limits.ts";
export type { Message, OutgoingMessage, ReceivedMessage } from "./message.ts";
export { isMessageId, isUuid, newMessageId, ownMessageId } from "./message-id.ts";
export { murmur2, partitionOfKey } from "./murmur2.ts";
export type { Random } from "./random.ts";
export { systemRandom } from "./random.ts";
export type { ArrivedMessage } from "./received-message.ts";
export { receivedMessage } from "./received-message.ts";
export type { RejectionBrake } from "./rejection-brake.ts";
export { afterRejection, isBraked, rejectionsInARowMax, releasedBrake } from "./rejection-brake.ts";
export type { ClaimedSignature, RequestSignatureHeaders, SignedRequest } from "./request-signature.ts";
export { isDigestOf, isSignedBy, readSignature, signRequest } from "./request-signature.ts";
export { retryAfterMs } from "./retry-after.ts";
export type { Secret } from "./secret.ts";
export { secret } from "./secret.ts";
export type { SignatureHeaders, SignedContent } from "./signature.ts";
export { sign, signatureToleranceMs, signingSecret, verifySignature } from "./signature.ts";
export type { Delivery, HandleDeliveries, Settlement, Source } from "./source.ts";
export type { SchemaInput, SchemaOutput, StandardIssue, StandardResult, StandardSchema } from "./standard-schema.ts";
export { isWellFormed } from "./text.ts";
export { newToken } from "./token.ts";
export type { TraceContext } from "./trace-context.ts";
export { traceHeaders, traceOf } from "./trace-context.ts";
export type { FailureScope, PublishOptions, PublishOutcome, Transport } from "./transport.ts";
// Ports
export { behindItsKey } from "./transport.ts";
export { writeTimeMs } from "./write-time.ts";
