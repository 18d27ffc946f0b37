/** From what was configured to a transport: by its URL's scheme, or from a module of yours. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isWaybillError, type OnEvent, systemClock, type Transport, waybillError, withDeadline } from "@waybill/core";
import type { Configuration } from "./configuration.ts";
import type { Setting } from "./setting.ts";
import { brokerSettings, httpSettings, kafkaSettings, rabbitmqSettings, topics, transport, transportOptions } from "./settings.ts";
import { loadHttp } from "./transports/load-http.ts";
import { loadKafka } from "./transports/load-kafka.ts";
import { loadRabbitmq } from "./transports/load-rabbitmq.ts";
import type { LoadedTransport } from "./transports/loaded-transport.ts";

/** What a transport module is told besides its options. */
export interface TransportModuleContext {
  /** Whatever it reports is logged and counted. */
  readonly onEvent: OnEvent;
}

/**
 * The default export of a module that `--transport` names: makes a transport from the options given as `--transport-options`, a JSON
 * object, empty if none was given. It is closed when the relay has ended. Keep what `Transport` promises: `transportContract` of
 * `@waybill/testing` tells whether you do.
 */
export type TransportModule = (
  options: Readonly<Record<string, unknown>>,
  context: TransportModuleContext,
) => Transport | Promise<Transport>;

const known = [
  "https://host/path/{topic}",
  "http://host/path/{topic}",
  "kafka://host:9092,host:9092",
  "amqps://host/vhost",
  "amqp://host/vhost",
  "./path/to/a/module.js",
] as const;

/** What each kind takes, and what it is called where another kind is given it. */
const kinds = {
  http: { settings: httpSettings, problem: "is for an HTTP transport" },
  broker: { settings: brokerSettings, problem: "is for a Kafka or RabbitMQ transport" },
  kafka: { settings: kafkaSettings, problem: "is for a Kafka transport" },
  rabbitmq: { settings: rabbitmqSettings, problem: "is for a RabbitMQ transport" },
  topics: { settings: [topics], problem: "is for a Kafka or RabbitMQ transport" },
  module: { settings: [transportOptions], problem: "is for a transport module" },
} as const satisfies Readonly<Record<string, { readonly settings: readonly Setting<unknown>[]; readonly problem: string }>>;

/** The scheme of a URL; null: it is a path. */
export function schemeOf(text: string): string | null {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? null;
}

/** A module that answers later than this is taken for one that never does. */
const moduleDeadlineMs = 30_000;

/** Problems go to the configuration; then the answer is null. */
export async function loadTransport(
  configuration: Configuration,
  onEvent: OnEvent,
  { deadlineMs = moduleDeadlineMs }: { readonly deadlineMs?: number } = {},
): Promise<LoadedTransport | null> {
  const given = configuration.get(transport);
  if (given === null) {
    configuration.complain(transport.name, `is needed: ${known.join(" or ")}`);
    return null;
  }
  const text = given.reveal();
  const scheme = schemeOf(text);
  switch (scheme) {
    case "http":
    case "https":
      refuseAllBut(configuration, ["http"]);
      return loadHttp(configuration, text, onEvent);
    case "kafka":
      refuseAllBut(configuration, ["kafka", "broker", "topics"]);
      return await loadKafka(configuration, text, onEvent);
    case "amqp":
    case "amqps":
      refuseAllBut(configuration, ["rabbitmq", "broker", "topics"]);
      return await loadRabbitmq(configuration, text, onEvent);
    default:
      refuseAllBut(configuration, ["module"]);
      return await configuration.makeLater(async () => {
        if (scheme !== null && scheme !== "file") throw unknown(`there is no transport for ${scheme}://`);
        const loaded = await withDeadline(systemClock, deadlineMs, loadModule(text, configuration.get(transportOptions) ?? {}, onEvent));
        if (loaded.kind === "late") throw unknown(`the module made no transport within ${deadlineMs} ms`);
        return loaded.value;
      });
  }
}

async function loadModule(text: string, options: Readonly<Record<string, unknown>>, onEvent: OnEvent): Promise<LoadedTransport> {
  const url = text.startsWith("file://") ? text : pathToFileURL(resolve(text)).href;
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(url)) as { readonly default?: unknown };
  } catch (error) {
    throw unknown(`the module cannot be loaded: ${firstLineOf(error)}`, error);
  }
  if (typeof loaded.default !== "function") throw unknown("the module has no default export that makes a transport");
  let made: Partial<Transport> | null | undefined;
  try {
    made = await (loaded.default as TransportModule)(options, { onEvent });
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    // Its message may quote its options, which may be secret.
    throw unknown(`the module's default export failed: ${error instanceof Error ? error.name : "it threw no error"}`, error);
  }
  if (typeof made?.publish !== "function" || typeof made.close !== "function") {
    throw unknown("what the module's default export made is no transport: it has no publish and close");
  }
  return { transport: made as Transport, name: url, batchMax: null, check: null, look: null };
}

/** Names a module or a place in it: what cannot be loaded has not seen its options. */
function firstLineOf(error: unknown): string {
  return error instanceof Error ? (error.message.split("\n")[0] ?? error.name) : "it threw no error";
}

function refuseAllBut(configuration: Configuration, taken: readonly (keyof typeof kinds)[]): void {
  for (const [kind, { settings, problem }] of Object.entries(kinds)) {
    if (taken.includes(kind as keyof typeof kinds)) continue;
    // A switch that is off is not given.
    for (const setting of settings)
      if ((configuration.get<unknown>(setting) ?? false) !== false) configuration.complain(setting.name, problem);
  }
}

function unknown(problem: string, cause?: unknown): Error {
  return waybillError("WAYBILL_TRANSPORT_UNKNOWN", `--transport: ${problem}. It takes ${known.join(" or ")}.`, { problem, known }, cause);
}
