/**
 * How brokers are reached: what the transport, the source and both clients share. Checked once, here, so that neither library sees
 * anything that is wrong.
 */
import type { Clock, OnEvent, Random, Secret } from "@waybill/core";

/** TLS towards the brokers. Their certificates are always verified. */
export interface KafkaTls {
  /** Authorities to trust, as PEM. Default: the well-known ones. */
  readonly ca?: string | readonly string[];
  /** Our certificate and its key, as PEM, where brokers ask for one. */
  readonly cert?: string;
  readonly key?: string | Secret;
  /** The name the certificate must have, where it differs from the host that is dialled. */
  readonly servername?: string;
}

export type KafkaSasl =
  | { readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; readonly username: string; readonly password: string | Secret }
  /** `token` is asked for at every connection and when a session is about to end. */
  | { readonly mechanism: "oauthbearer"; readonly token: () => Promise<string | Secret> };

/** The library behind the ports. `platformatic` needs Node 22.22 or newer, and `@platformatic/kafka`. */
export type KafkaClientName = "kafkajs" | "platformatic";

export interface KafkaConnectionOptions {
  /** `host:port` of some brokers; the others are learnt from them. */
  readonly brokers: readonly string[];
  /** Default `kafkajs`. */
  readonly client?: KafkaClientName;
  /** What brokers see in their logs and quotas. Default `waybill`. */
  readonly clientId?: string;
  /** `true`: TLS with the well-known authorities. Default `false`; `plain` and `oauthbearer` then send what they send readably. */
  readonly ssl?: boolean | KafkaTls;
  readonly sasl?: KafkaSasl;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly onEvent?: OnEvent;
}

/** The same, checked and complete: what a client is made from. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  readonly client: KafkaClientName;
  readonly clientId: string;
  /** null: no TLS. */
  readonly tls: KafkaTls | null;
  readonly sasl: KafkaSasl | null;
  readonly clock: Clock;
  readonly random: Random;
}
