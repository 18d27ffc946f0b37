/** Where a broker is and who we are there: what a caller configures, checked. Credentials are kept as secrets and never shown. */
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { type ConfigProblem, type Secret, secret } from "@waybill/core";

/** Trust and identity for `amqps:`. */
export interface RabbitmqTlsOptions {
  /** Certificates, PEM, of the authorities to trust instead of the well-known ones. */
  readonly ca?: string;
  /** Our own certificate and its private key, PEM, for brokers that ask for one. */
  readonly cert?: string;
  readonly key?: string;
  /** The name to ask for and to find in the certificate. Default: the URL's host. */
  readonly servername?: string;
  /** True: whoever answers is believed, and anybody between us can read and change messages. Default false. */
  readonly insecureSkipVerification?: boolean;
}

/** How to reach a broker, for the transport and for the source. */
export interface RabbitmqConnectionOptions {
  /**
   * `amqp://` or `amqps://user:password@host:port/vhost`. Credentials in it are kept as secrets. Default port 5672, with TLS 5671;
   * without a path the vhost is `/`. No query: what it would set are options here.
   */
  readonly url?: string | Secret;
  /** The nodes of a cluster, instead of `url`: one is used at a time, the next is tried when it is lost. */
  readonly urls?: readonly (string | Secret)[];
  /** Instead of the user name in the URL. */
  readonly username?: string;
  /** Instead of the password in the URL. */
  readonly password?: Secret;
  readonly tls?: RabbitmqTlsOptions;
  /**
   * Seconds, 5 to 10. Default 10. A peer that is silent for two to three of them is gone. Less: a busy process loses its connection;
   * more, or none at all: messages hang on a connection whose other end is no more.
   */
  readonly heartbeatSeconds?: number;
  /** Milliseconds for one attempt to connect, TLS and login included. Default 5 000. */
  readonly connectDeadlineMs?: number;
  /** What operators see beside the connection in RabbitMQ's own lists. Default `waybill`. */
  readonly connectionName?: string;
}

/** A broker that was checked. */
export interface BrokerAddress {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly username: string;
  readonly password: Secret;
  /** For errors and events: `host:port/vhost`, without credentials. */
  readonly name: string;
}

/** Connection options that were checked. */
export interface CheckedConnection {
  readonly addresses: readonly [BrokerAddress, ...BrokerAddress[]];
  readonly tls: RabbitmqTlsOptions;
  readonly heartbeatSeconds: number;
  readonly connectDeadlineMs: number;
  readonly connectionName: string;
}

const addressesMax = 16;
const heartbeatMin = 5;
const heartbeatMax = 10;

/** Checks connection options. What is wrong goes to `problems`; then there is nothing. */
export function checkConnection(options: RabbitmqConnectionOptions, problems: ConfigProblem[]): CheckedConnection | null {
  const { url, urls, username, password, tls = {}, heartbeatSeconds = 10, connectDeadlineMs = 5_000, connectionName = "waybill" } = options;
  const found: ConfigProblem[] = [];
  const complain = (option: string, problem: string): void => void found.push({ option, problem });

  const given = urls ?? (url === undefined ? [] : [url]);
  if (url !== undefined && urls !== undefined) complain("urls", "give url or urls, not both");
  if (given.length === 0) complain("url", "must be an amqp:// or amqps:// URL");
  if (given.length > addressesMax) complain("urls", `must be at most ${addressesMax}`);
  const addresses: BrokerAddress[] = [];
  for (const one of given) {
    const address = addressOf(one, username, password);
    if (typeof address === "string") complain(urls === undefined ? "url" : "urls", address);
    else addresses.push(address);
  }
  if (new Set(addresses.map(({ isTls }) => isTls)).size > 1) complain("urls", "must be all amqp:// or all amqps://");
  if (!isWhole(heartbeatSeconds, heartbeatMin, heartbeatMax))
    complain(
      "heartbeatSeconds",
      `must be a whole number from ${heartbeatMin} to ${heartbeatMax}: without heartbeats a dead link looks alive for ever`,
    );
  if (!isWhole(connectDeadlineMs, 100, 60_000)) complain("connectDeadlineMs", "must be a whole number from 100 to 60000");
  if (connectionName === "" || connectionName.length > 100) complain("connectionName", "must be 1 to 100 characters");
  const tlsRule = tlsProblem(tls);
  if (tlsRule !== null) complain("tls", tlsRule);

  problems.push(...found);
  const [first, ...rest] = addresses;
  if (found.length > 0 || first === undefined) return null;
  return { addresses: [first, ...rest], tls, heartbeatSeconds, connectDeadlineMs, connectionName };
}

/** An address, or the rule that the URL breaks. The URL itself never is part of it: it may hold a password. */
function addressOf(given: string | Secret, ownUsername: string | undefined, ownPassword: Secret | undefined): BrokerAddress | string {
  const rule = "must be a URL such as amqp://user:password@host:5672/vhost";
  const text = typeof given === "string" ? given : given.reveal();
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return rule;
  }
  if (url.protocol !== "amqp:" && url.protocol !== "amqps:") return "must begin with amqp:// or amqps://";
  if (url.hostname === "") return rule;
  if (url.search !== "" || url.hash !== "") return "must have no query and no fragment: heartbeat, limits and TLS are options of their own";
  const vhost = decoded(url.pathname.slice(1));
  const username = ownUsername ?? decoded(url.username);
  const urlPassword = decoded(url.password);
  if (vhost === null || username === null || urlPassword === null) return "must percent-encode its user, password and vhost in UTF-8";
  // A vhost is one path segment; `amqp://host/a/b` is a mistake more often than a name.
  if (url.pathname.slice(1).includes("/")) return "must name the vhost as one segment; write / in it as %2F";
  const isTls = url.protocol === "amqps:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isTls ? 5671 : 5672) : Number(url.port);
  // As RabbitMQ has it: a fresh node knows guest, and lets it in from the same host only.
  const isAnonymous = username === "" && urlPassword === "" && ownPassword === undefined;
  return {
    isTls,
    host,
    port,
    vhost: vhost === "" ? "/" : vhost,
    username: isAnonymous ? "guest" : username,
    password: ownPassword ?? secret(isAnonymous ? "guest" : urlPassword),
    name: `${isIP(host) === 6 ? `[${host}]` : host}:${port}/${encodeURIComponent(vhost === "" ? "/" : vhost)}`,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The rule that these options break, or null. The library's own words are left out, for they are about a key. */
function tlsProblem({ ca, cert, key }: RabbitmqTlsOptions): string | null {
  if ((cert === undefined) !== (key === undefined)) return "needs cert and key together, or neither";
  try {
    createSecureContext({ ca, cert, key });
    return null;
  } catch {
    return "must be PEM: the authorities as ca, a certificate as cert and the private key that belongs to it, not encrypted, as key";
  }
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
