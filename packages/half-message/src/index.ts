// The producer

export type { Check, CheckDecision } from "./check-protocol.ts";
export type { Checker, CheckerOptions, CheckReply, CheckRequest } from "./checker.ts";
export { createChecker } from "./checker.ts";
export type { HalfMessageContent, HalfMessageContents } from "./encode-half-message.ts";
export type { HalfMessage, SettledHalfMessage } from "./half-message.ts";
export type { PrepareOptions, Producer, SendOptions, Sent } from "./producer.ts";
export { createProducer } from "./producer.ts";
export type { CreateProducerOptions } from "./producer-options.ts";
export type { ServiceAddress, ServiceAnswer, ServiceClient, ServiceRequest } from "./service-client.ts";
export { createServiceClient } from "./service-client.ts";
export type { ServiceTls } from "./service-connection.ts";

// The consumer

export type { Acknowledger, AcknowledgerOptions, NackOptions } from "./acknowledger.ts";
export { createAcknowledger } from "./acknowledger.ts";

// The barrier in the producer's database

export type { Barrier, BarrierOptions, Settled } from "./barrier.ts";
export { createBarrier } from "./barrier.ts";

export type { Reconciled, ReconcileOptions, Unreconciled } from "./reconcile.ts";
export { reconcile } from "./reconcile.ts";

// Its tables, and the service's

export { barrierMigrations, halfMessageMigrations } from "./migrations.ts";

// The service

export type { AcceptOptions } from "./accept-source.ts";
export type { AlertHookOptions } from "./alert-hook.ts";
export type { Alert, OnAlert } from "./alerts.ts";
export type { Scope } from "./api/route.ts";
export type { ReceiverOptions } from "./notification/receiver-options.ts";
export type {
  CheckOptions,
  DestinationOptions,
  HalfMessageServiceOptions,
  KeyOptions,
  ProducerOptions,
  SecretSource,
} from "./options.ts";
export { createHalfMessageService, type HalfMessageService } from "./service.ts";
export type { AskedFate, SettledFate } from "./settle.ts";
export type { SettleFailure } from "./settle-error.ts";
