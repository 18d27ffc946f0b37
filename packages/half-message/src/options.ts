/** What a service is given, and what it makes of it. */
import type { Clock, HttpCaller, OnEvent, Random, Secret, Transport } from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { AlertHookOptions } from "./alert-hook.ts";
import type { OnAlert } from "./alerts.ts";
import type { Scope } from "./api/route.ts";
import type { ReceiverOptions } from "./notification/receiver-options.ts";

/** A secret as it is, or the file that holds it, which is read again when it changes. */
export type SecretSource = Secret | { readonly file: string };

export interface KeyOptions {
  /** Named in every signature, and in the log of decisions. */
  readonly id: string;
  /** At least 32 bytes. Two while one is being replaced: both are accepted. */
  readonly secret: SecretSource | readonly SecretSource[];
  /** The one name that the key is for; none: it is for operators. */
  readonly producer?: string;
  readonly consumer?: string;
  readonly receiver?: string;
  readonly scopes: readonly Scope[];
}

export interface CheckOptions {
  /** `push`: we call `url`. `pull`: the producer asks. `direct`: we look into its barrier ourselves. Default push. */
  readonly via?: "push" | "pull" | "direct";
  /** Of push. Never taken from a request. */
  readonly url?: string;
  /** Of push: signs what we ask, and what is answered. */
  readonly secret?: SecretSource;
  /** Default signed. `unsigned` is for https only. */
  readonly answers?: "signed" | "unsigned";
  readonly allowNetworks?: readonly string[];
  readonly allowHttp?: boolean;
  readonly allowPorts?: readonly number[];
  /** Of direct: the producer's database. Yours to close. */
  readonly database?: Database;
}

/** Milliseconds, unless said. */
export interface ProducerOptions {
  readonly check?: CheckOptions;
  /** Default 10 000: when a half message is asked for first, if its producer does not say. */
  readonly checkAfterMs?: number;
  /** Default 24 h, at most 7 d: when it is suspended. */
  readonly suspendAfterMs?: number;
  /** Default 30 000: how long after that, where no check can be made. */
  readonly suspendGraceMs?: number;
  /** Default [10 000, 20 000, 30 000]; the last repeats. */
  readonly pendingDelaysMs?: readonly number[];
  /** Default 5 000 doubling to 60 000. */
  readonly unansweredBackoff?: { readonly firstMs: number; readonly maxMs: number };
  /** Default: 5 failures open it for 5 000, doubling to 60 000. */
  readonly breaker?: { readonly failuresMax: number; readonly firstMs: number; readonly maxMs: number };
  /** Default 5 000. */
  readonly checkTimeoutMs?: number;
  /** Default 50, at most 100: half messages asked for in one call. */
  readonly checkBatch?: number;
  /** Default 4: calls at once. */
  readonly checkConcurrency?: number;
  /** Default 600 000; 0: suspended half messages are not asked for. */
  readonly suspendedCheckMs?: number;
  /** Default 600 000: how long "not found" goes on before it suspends. It never rolls back. */
  readonly unfencedGraceMs?: number;
  /** Default 10 000 rows: new prepares beyond are refused. */
  readonly undecidedQuota?: number;
  /** Default 300 000: how long nobody answers before it is an alert. */
  readonly unreachableAlertMs?: number;
  /** The destination that is told of the producer's dead deliveries. Default none. */
  readonly deadNotice?: string;
}

/** Milliseconds, unless said. */
export interface DestinationOptions {
  /** Yours to close, after `run` has resolved. */
  readonly transport: Transport;
  /** Default implicit: done when the transport confirms. `explicit`: done when `consumer` says so. */
  readonly ack?: "implicit" | "explicit";
  /** Of explicit: whose key may ack. */
  readonly consumer?: string;
  /** Default key: first publications of one key are one after the other, in their order. `none`: several at once, in any order. */
  readonly ordering?: "key" | "none";
  /**
   * Default publish: the next of a key goes after the confirm, so that a redelivery may be under way beside a later one of its key. `ack`: after the ack, so
   * that it never is; one that nobody acknowledges keeps its key waiting until it is dead.
   */
  readonly keyOrder?: "publish" | "ack";
  readonly publishTimeoutMs?: number;
  readonly breaker?: { readonly failuresMax: number; readonly firstMs: number; readonly maxMs: number };
  readonly batch?: number;
  readonly maxAttempts?: number;
  readonly giveUpAfterMs?: number;
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  readonly ackDeadlineMs?: number;
  readonly maxRedeliveries?: number;
  readonly alertAfterMs?: number;
}

/** Milliseconds, unless said. Any may be as low as 50, for tests. */
export interface HalfMessageServiceOptions {
  /** With `connections` and two more. Yours to close, after `run` has resolved. */
  readonly database: Database;
  readonly schema?: string;
  readonly prefix?: string;
  /** Calls producers and receivers. */
  readonly http: HttpCaller;
  /** `host:port`; port 0: any free one. */
  readonly listen: string;
  /** Default 127.0.0.1:7421. null: there is no admin port. */
  readonly admin?: string | null;
  /** PEM. With `ca` a caller's certificate is asked for, and a key's id in its subject alternative names takes the place of a signature. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  readonly keys: readonly KeyOptions[];
  readonly producers: Readonly<Record<string, ProducerOptions>>;
  readonly destinations: Readonly<Record<string, DestinationOptions>>;
  /** Topic → destinations. */
  readonly routes: Readonly<Record<string, readonly string[]>>;
  readonly onAlert?: OnAlert;
  /** An endpoint that is told of alerts, too, as best it can be. Default none. */
  readonly alertHook?: AlertHookOptions;
  readonly onEvent?: OnEvent;
  /** Default 1 000. */
  readonly pollMs?: number;
  /** Default 8: transactions at once. */
  readonly connections?: number;
  /** Default 30 000. */
  readonly leaseMs?: number;
  /** Default 7 d: bodies and deliveries after the decision. */
  readonly retentionMs?: number;
  /** Default 30 d, at least `retentionMs`: how long an id stays spent after the decision. */
  readonly tombstoneMs?: number;
  /** Default 30 d. */
  readonly deadRetentionMs?: number;
  /** Default 400 d; the table keeps 30 d whatever is said. */
  readonly logRetentionMs?: number;
  /** Default 60 000. */
  readonly purgeEveryMs?: number;
  /**
   * Default 300 000: how long a destination that is not configured any more is waited for. Longer than the longest step of any breaker, so that a replica
   * that knows it is seen trying.
   */
  readonly destinationGraceMs?: number;
  /** Default 4 194 304. */
  readonly maxBodyBytes?: number;
  /** Default 1 000 000, at most 15 728 640: payload, headers and key of a message. */
  readonly maxPayloadBytes?: number;
  /** Default 100. */
  readonly maxMessages?: number;
  /** Default 300 000. */
  readonly signatureToleranceMs?: number;
  /** Default 10 000. */
  readonly shutdownMs?: number;
  /** Default strict: no start on a database that acknowledges what a crash may lose. */
  readonly durability?: "strict" | "relaxed";
  /** True: no keys; only over loopback. Default false. */
  readonly insecureDev?: boolean;
  /** True: what stands in front ends TLS, so plain HTTP may be served beyond loopback. Default false. */
  readonly tlsTerminated?: boolean;
  /** How notifications go to all receivers. */
  readonly receivers?: ReceiverOptions;
  /** Private ranges in which receivers may be called. Default none. */
  readonly receiverAllowNetworks?: readonly string[];
  /** At least 32 bytes; the secrets of receivers are derived from it. Default none: receivers need one of their own. */
  readonly receiverMasterSecret?: SecretSource;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A producer with every option said. */
export type ProducerRules = Required<Omit<ProducerOptions, "check" | "deadNotice">> & {
  readonly check: CheckOptions & { readonly via: "push" | "pull" | "direct" };
  readonly deadNotice: string | null;
};

/** What was given, with every option said. */
export interface ServiceRules
  extends Omit<
    Required<HalfMessageServiceOptions>,
    "producers" | "tls" | "onAlert" | "alertHook" | "onEvent" | "schema" | "prefix" | "receivers" | "receiverMasterSecret"
  > {
  readonly schema: string | undefined;
  readonly prefix: string | undefined;
  readonly tls: HalfMessageServiceOptions["tls"];
  readonly onAlert: OnAlert | undefined;
  readonly alertHook: AlertHookOptions | undefined;
  readonly onEvent: OnEvent | undefined;
  readonly receivers: ReceiverOptions | undefined;
  readonly receiverMasterSecret: SecretSource | undefined;
  readonly producers: Readonly<Record<string, ProducerRules>>;
}
