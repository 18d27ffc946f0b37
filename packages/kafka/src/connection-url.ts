/**
 * Kafka's brokers as one URL, for command lines and environments:
 *
 *     kafka://user:password@kafka-1:9092,kafka-2:9092?ssl=true&sasl=scram-sha-512&client=platformatic&clientId=relay
 *
 * There is no standard for it. Ours names several hosts with commas, which `URL` cannot read; 9092 where there is no port. User and
 * password are percent-encoded. What an error says never repeats the URL.
 */
import { type ConfigProblem, secret, throwConfigProblems } from "@waybill/core";
import { checkConnection, type KafkaClientName, type KafkaConnectionOptions, type KafkaSasl } from "./connection-options.ts";

const form = /^kafka:\/\/(?:([^@/?#]*)@)?([^@/?#]+)\/?(?:\?([^#]*))?$/;
const portDefault = 9_092;
const parameters: ReadonlySet<string> = new Set(["ssl", "sasl", "client", "clientId"]);

/** What a URL says beside its connection: parameters whose names `alsoAllowed` lists, decoded. */
export interface KafkaUrl {
  readonly connection: KafkaConnectionOptions;
  readonly others: ReadonlyMap<string, string>;
}

/**
 * Reads a `kafka://` URL. The password becomes a `Secret`. `sasl` defaults to `plain` where there is a user.
 *
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong, without the URL
 */
export function parseKafkaUrl(url: string, alsoAllowed: readonly string[] = []): KafkaUrl {
  const problems: ConfigProblem[] = [];
  const complain = (option: string, problem: string): void => void problems.push({ option, problem });
  const [, credentials, hosts = "", query = ""] = form.exec(url) ?? [];
  if (hosts === "") complain("url", "must be kafka://[user:password@]host[:port][,host[:port]…][?ssl=true&…]");

  const given = new Map<string, string>();
  const others = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (given.has(name) || others.has(name)) complain(name, "must be given once");
    else if (parameters.has(name)) given.set(name, value);
    else if (alsoAllowed.includes(name)) others.set(name, value);
    else complain(name, `is not known; known are ${[...parameters, ...alsoAllowed].join(", ")}`);
  }
  const ssl = given.get("ssl") ?? "false";
  if (ssl !== "true" && ssl !== "false") complain("ssl", "must be true or false");

  const connection: KafkaConnectionOptions = {
    brokers: hosts.split(",").map((host) => (host.includes(":") ? host : `${host}:${portDefault}`)),
    ssl: ssl === "true",
    ...(given.has("client") ? { client: given.get("client") as KafkaClientName } : {}),
    ...(given.has("clientId") ? { clientId: given.get("clientId") as string } : {}),
    ...saslOf(credentials, given.get("sasl"), complain),
  };
  if (hosts !== "") checkConnection(connection, problems);
  throwConfigProblems("The Kafka URL", problems);
  return { connection, others };
}

function saslOf(
  credentials: string | undefined,
  mechanism: string | undefined,
  complain: (option: string, problem: string) => void,
): { readonly sasl?: KafkaSasl } {
  if (credentials === undefined) {
    if (mechanism !== undefined) complain("sasl", "needs user:password@ before the hosts");
    return {};
  }
  const colon = credentials.indexOf(":");
  try {
    const username = decodeURIComponent(colon === -1 ? credentials : credentials.slice(0, colon));
    const password = colon === -1 ? "" : decodeURIComponent(credentials.slice(colon + 1));
    if (mechanism === undefined || mechanism === "plain" || mechanism === "scram-sha-256" || mechanism === "scram-sha-512")
      return { sasl: { mechanism: mechanism ?? "plain", username, password: secret(password) } };
    complain("sasl", "must be plain, scram-sha-256 or scram-sha-512");
  } catch {
    complain("url", "user and password must be percent-encoded");
  }
  return {};
}
