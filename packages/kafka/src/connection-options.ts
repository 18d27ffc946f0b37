/**
 * How brokers are reached: what the transport, the source and both clients share. Checked once, here, so that neither library sees
 * anything that is wrong.
 */
import { type Clock, type ConfigProblem, type OnEvent, type Random, type Secret, systemClock, systemRandom } from "@waybill/core";
import { tlsProblem } from "./tls.ts";

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

const clientIdBytesMax = 255;
const mechanisms: ReadonlySet<string> = new Set(["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"]);

/** Checks and completes. What is wrong goes to `problems`; then the answer must not be used. No problem repeats a secret. */
export function checkConnection(options: KafkaConnectionOptions, problems: ConfigProblem[]): KafkaConnection {
  const { brokers, client = "kafkajs", clientId = "waybill", ssl = false, sasl = null } = options;
  const complain = (option: string, problem: string): void => void problems.push({ option, problem });

  if (!Array.isArray(brokers) || brokers.length === 0) complain("brokers", 'must name at least one broker, such as ["kafka-1:9092"]');
  else if (!brokers.every(isAddress)) complain("brokers", "each must be host:port, a name or an IPv4 address and a port from 1 to 65535");
  if (client !== "kafkajs" && client !== "platformatic") complain("client", "must be kafkajs or platformatic");
  if (typeof clientId !== "string" || !/^[\x21-\x7e]+$/.test(clientId) || clientId.length > clientIdBytesMax)
    complain("clientId", `must be 1 to ${clientIdBytesMax} printable ASCII characters`);

  const tls = ssl === true ? {} : ssl === false ? null : ssl;
  if (tls !== null && typeof tls !== "object") complain("ssl", "must be true, false or an object with ca, cert, key, servername");
  else if (tls !== null) {
    const rule = tlsProblem(tls);
    if (rule !== null) complain("ssl", rule);
  }
  for (const [option, problem] of saslProblems(sasl)) complain(option, problem);

  const { clock = systemClock, random = systemRandom } = options;
  return { brokers, client, clientId, tls, sasl, clock, random };
}

function isAddress(broker: unknown): boolean {
  const port = typeof broker === "string" ? /^[A-Za-z0-9._-]+:(\d{1,5})$/.exec(broker)?.[1] : undefined;
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

function saslProblems(sasl: KafkaSasl | null): readonly (readonly [option: string, problem: string])[] {
  if (sasl === null) return [];
  if (typeof sasl !== "object" || !mechanisms.has(sasl.mechanism))
    return [["sasl.mechanism", `must be one of ${[...mechanisms].join(", ")}`]];
  if (sasl.mechanism === "oauthbearer") {
    return typeof sasl.token === "function" ? [] : [["sasl.token", "must be a function that resolves to a token"]];
  }
  const problems: [string, string][] = [];
  if (typeof sasl.username !== "string" || sasl.username === "") problems.push(["sasl.username", "must not be empty"]);
  const password: unknown = typeof sasl.password === "object" ? sasl.password?.reveal?.() : sasl.password;
  if (typeof password !== "string" || password === "") problems.push(["sasl.password", "must not be empty"]);
  return problems;
}
