/**
 * A look at exchanges and queues through RabbitMQ's management API, which shows what AMQP does not: policies, bindings, the arguments
 * of queues that others declared. Only reads, only at the start, every request with a deadline and a bound.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type Clock, type ConfigProblem, type Secret, secret, type WaybillError, waybillError } from "@waybill/core";
import type { CheckedConnection } from "./address.ts";
import { exchangeFindings, type Finding, queueFindings, settingsOf } from "./topology-lint.ts";

/** The management API, checked. */
export interface Management {
  readonly url: URL;
  readonly username: string;
  readonly password: Secret;
}

/** Checks the management URL. Credentials that it does not have are the broker's. */
export function checkManagement(
  given: string | Secret | undefined,
  connection: CheckedConnection,
  problems: ConfigProblem[],
): Management | null {
  if (given === undefined) return null;
  try {
    const url = new URL(typeof given === "string" ? given : given.reveal());
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new Error("no HTTP");
    const [{ username, password }] = connection.addresses;
    const own = url.username === "" ? { username, password } : credentialsOf(url);
    url.username = "";
    url.password = "";
    return { url, ...own };
  } catch {
    problems.push({ option: "managementUrl", problem: "must be a URL such as http://host:15672" });
    return null;
  }
}

function credentialsOf(url: URL): { readonly username: string; readonly password: Secret } {
  return { username: decodeURIComponent(url.username), password: secret(decodeURIComponent(url.password)) };
}

/** What was found, by object. */
export interface Found extends Finding {
  readonly what: "exchange" | "queue";
  readonly name: string;
}

export interface InspectOptions {
  readonly management: Management;
  readonly settings: CheckedConnection;
  readonly exchanges: readonly string[];
  readonly queues: readonly string[];
  /** True: an exchange that leads to no queue is a finding, too. Default false: consumers may bind theirs later. */
  readonly areQueuesExpected?: boolean;
  readonly clock: Clock;
  readonly deadlineMs: number;
}

const responseBytesMax = 16 * 1024 * 1024;
/** Exchanges and queues looked at, by way of bindings. */
const objectsMax = 2_000;

const leadsNowhere: Finding = { isRefused: false, argument: null, rule: "leads to no queue: messages wait until one is bound to it" };

type Json = Readonly<Record<string, unknown>>;

/**
 * Looks at the exchanges, the queues, and every queue that the exchanges lead to.
 *
 * @throws WAYBILL_TRANSPORT if the API does not answer
 */
export async function inspect({
  management,
  settings,
  exchanges,
  queues,
  areQueuesExpected = false,
  clock,
  deadlineMs,
}: InspectOptions): Promise<readonly Found[]> {
  const untilMs = clock.monotonicMs() + deadlineMs;
  const [{ vhost }] = settings.addresses;
  const get = (...path: readonly string[]): Promise<unknown> =>
    getJson({ management, settings, clock, path, deadlineMs: Math.max(0, untilMs - clock.monotonicMs()) });
  const overview = (await get("overview")) as Json;
  const brokerMajor = Number.parseInt(String(overview["rabbitmq_version"]), 10);
  const found: Found[] = [];
  const seenExchanges = new Set<string>();
  const wanted = new Set(queues);

  const bindingsFrom = async (exchange: string): Promise<readonly Json[]> =>
    ((await get("exchanges", vhost, exchange, "bindings", "source")) ?? []) as readonly Json[];

  const policyOf = async (object: Json): Promise<Json> => {
    const policy = object["policy"];
    if (typeof policy !== "string" || policy === "") return {};
    const read = (await get("policies", vhost, policy)) as Json | null;
    return (read?.["definition"] ?? {}) as Json;
  };

  const visit = async (exchange: string): Promise<void> => {
    if (seenExchanges.has(exchange) || seenExchanges.size + wanted.size >= objectsMax) return;
    seenExchanges.add(exchange);
    const object = (await get("exchanges", vhost, exchange)) as Json | null;
    if (object === null) return;
    const facts = { isDurable: object["durable"] === true, settings: settingsOf(argumentsOf(object), await policyOf(object), brokerMajor) };
    for (const finding of exchangeFindings(facts)) found.push({ what: "exchange", name: exchange, ...finding });
    const bindings = await bindingsFrom(exchange);
    if (areQueuesExpected && bindings.length === 0) found.push({ what: "exchange", name: exchange, ...leadsNowhere });
    for (const { destination, destination_type: kind } of bindings) {
      if (kind === "queue") wanted.add(String(destination));
      else await visit(String(destination));
    }
  };

  for (const exchange of exchanges) if (exchange !== "") await visit(exchange);
  for (const name of wanted) {
    const queue = (await get("queues", vhost, name)) as Json | null;
    if (queue === null) continue;
    const effective = settingsOf(argumentsOf(queue), (queue["effective_policy_definition"] ?? {}) as Json, brokerMajor);
    const deadLetterExchange = effective["dead-letter-exchange"];
    const facts = {
      type: typeof queue["type"] === "string" ? queue["type"] : "classic",
      isDurable: queue["durable"] === true,
      isAutoDelete: queue["auto_delete"] === true,
      isExclusive: queue["exclusive"] === true,
      settings: effective,
      deadLetters: await deadLettersOf(deadLetterExchange, bindingsFrom),
      brokerMajor,
    };
    for (const finding of queueFindings(facts)) found.push({ what: "queue", name, ...finding });
  }
  return found;
}

async function deadLettersOf(
  exchange: unknown,
  bindingsFrom: (exchange: string) => Promise<readonly Json[]>,
): Promise<"queue" | "nowhere" | "none"> {
  if (typeof exchange !== "string") return "none";
  // The default exchange leads to the queue that the routing key names.
  if (exchange === "") return "queue";
  return (await bindingsFrom(exchange)).length > 0 ? "queue" : "nowhere";
}

function argumentsOf(object: Json): Json {
  return (object["arguments"] ?? {}) as Json;
}

/** The first object that is refused, as an error that names every rule it breaks. */
export function refusal(found: readonly Found[]): WaybillError<"WAYBILL_TOPOLOGY"> | null {
  const first = found.find(({ isRefused }) => isRefused);
  if (first === undefined) return null;
  const { what, name, argument } = first;
  const rules = found.filter((other) => other.isRefused && other.what === what && other.name === name).map(({ rule }) => rule);
  return waybillError("WAYBILL_TOPOLOGY", `RabbitMQ ${what} ${name} would lose messages: it ${rules.join("; it ")}.`, {
    system: "rabbitmq",
    what,
    name,
    argument,
    brokerCode: null,
  });
}

interface GetOptions {
  readonly management: Management;
  readonly settings: CheckedConnection;
  readonly clock: Clock;
  readonly path: readonly string[];
  readonly deadlineMs: number;
}

/** null: there is no such object. */
function getJson({ management, settings, clock, path, deadlineMs }: GetOptions): Promise<unknown> {
  const { url, username, password } = management;
  const target = new URL(`${url.pathname.replace(/\/$/, "")}/api/${path.map(encodeURIComponent).join("/")}`, url);
  const isTls = url.protocol === "https:";
  const { ca, cert, key, insecureSkipVerification } = settings.tls;
  return new Promise((resolve, reject) => {
    const fail = (reason: string, brokerCode: string | null, cause?: unknown): void => {
      deadline.cancel();
      request.destroy();
      const facts = { system: "rabbitmq", reason, brokerCode };
      reject(waybillError("WAYBILL_TRANSPORT", `RabbitMQ's management API at ${url.host} cannot be used: ${reason}.`, facts, cause));
    };
    const request = (isTls ? requestHttps : requestHttp)(target, {
      auth: `${username}:${password.reveal()}`,
      agent: false,
      ...(isTls ? { ca, cert, key, rejectUnauthorized: insecureSkipVerification !== true } : {}),
    });
    const deadline = clock.setTimer(deadlineMs, () => fail("managementDeadline", null));
    request.on("error", (error: Error & { readonly code?: string }) => fail("managementUnreachable", error.code ?? null, error));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("error", (error) => fail("managementUnreachable", null, error));
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > responseBytesMax) fail("managementAnswerTooLarge", null);
        else chunks.push(chunk);
      });
      response.on("end", () => {
        const { statusCode = 0 } = response;
        if (statusCode === 404) {
          deadline.cancel();
          resolve(null);
          return;
        }
        if (statusCode !== 200) return fail("managementRefused", String(statusCode));
        try {
          const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
          deadline.cancel();
          resolve(parsed);
        } catch (error) {
          fail("managementAnswerInvalid", null, error);
        }
      });
    });
    request.end();
  });
}
