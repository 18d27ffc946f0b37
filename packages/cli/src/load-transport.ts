/** From what was configured to a transport: an HTTP destination, or a module of yours. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isWaybillError, type OnEvent, type Secret, signingSecret, type Transport, waybillError } from "@waybill/core";
import { httpTransport } from "@waybill/http";
import type { Configuration } from "./configuration.ts";
import type { Setting } from "./setting.ts";
import { allowNetworks, httpConcurrency, httpDeadlineMs, signingSecrets, transport, transportOptions } from "./settings.ts";

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

export interface LoadedTransport {
  readonly transport: Transport;
  /** Tells it from others without showing credentials. */
  readonly name: string;
  /** Messages in one call, where nobody says otherwise; null: the relay's own default. */
  readonly batchMax: number | null;
}

/**
 * A call is answered when its last message is, and an HTTP destination takes its messages one by one: with the relay's usual 500 the
 * first would wait for the last, and a stop or a crash would repeat them all.
 */
const httpBatchMax = 50;

const known = ["https://host/path/{topic}", "http://host/path/{topic}", "./path/to/a/module.js"] as const;

/** Problems go to the configuration; then the answer is null. */
export async function loadTransport(configuration: Configuration, onEvent: OnEvent): Promise<LoadedTransport | null> {
  const given = configuration.get(transport);
  if (given === null) {
    configuration.complain(transport.name, `is needed: ${known.join(" or ")}`);
    return null;
  }
  const text = given.reveal();
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? null;
  if (scheme === "http" || scheme === "https") return loadHttp(configuration, text, onEvent);
  refuse(configuration, [signingSecrets, allowNetworks, httpConcurrency, httpDeadlineMs], "is for an HTTP transport");
  return configuration.makeLater(async () => {
    if (scheme !== null && scheme !== "file") throw unknown(`there is no transport for ${scheme}://`);
    return loadModule(text, configuration.get(transportOptions) ?? {}, onEvent);
  });
}

function loadHttp(configuration: Configuration, url: string, onEvent: OnEvent): LoadedTransport | null {
  refuse(configuration, [transportOptions], "is for a transport module");
  const secrets: Secret[] = [];
  for (const one of configuration.get(signingSecrets) ?? []) {
    const checked = configuration.make(
      () => signingSecret(one.reveal()),
      () => signingSecrets.name,
    );
    if (checked !== null) secrets.push(checked);
  }
  if (secrets.length !== (configuration.get(signingSecrets)?.length ?? 0)) return null;
  const [ranges, concurrency, deadlineMs] = [
    configuration.get(allowNetworks),
    configuration.get(httpConcurrency),
    configuration.get(httpDeadlineMs),
  ];
  const options = {
    url,
    secrets,
    onEvent,
    ...(ranges === null ? {} : { allowNetworks: ranges }),
    ...(concurrency === null ? {} : { concurrency }),
    ...(deadlineMs === null ? {} : { deadlineMs }),
  };
  const made = configuration.make(
    () => httpTransport(options),
    (option) => namesOfHttp[option] ?? option,
  );
  if (made === null) return null;
  const { origin, pathname } = new URL(url);
  return { transport: made, name: `${origin}${pathname}`, batchMax: httpBatchMax };
}

const namesOfHttp: Readonly<Record<string, string>> = {
  url: transport.name,
  secrets: signingSecrets.name,
  concurrency: httpConcurrency.name,
  deadlineMs: httpDeadlineMs.name,
};

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
  return { transport: made as Transport, name: url, batchMax: null };
}

/** Names a module or a place in it: what cannot be loaded has not seen its options. */
function firstLineOf(error: unknown): string {
  return error instanceof Error ? (error.message.split("\n")[0] ?? error.name) : "it threw no error";
}

function refuse(configuration: Configuration, settings: readonly Setting<unknown>[], problem: string): void {
  for (const setting of settings) if (configuration.get(setting) !== null) configuration.complain(setting.name, problem);
}

function unknown(problem: string, cause?: unknown): Error {
  return waybillError("WAYBILL_TRANSPORT_UNKNOWN", `--transport: ${problem}. It takes ${known.join(" or ")}.`, { problem, known }, cause);
}
