/**
 * Where a test run gets a server from: the first provider that has one. One rule for every database and broker.
 *
 *     environment ──▶ standardPort ──▶ compose ──▶ launcher ──▶ skipped, with the reason of each and what to do
 *
 * What somebody named, we insist on: a URL in the environment that does not answer is an error, not a reason to look elsewhere.
 */
import { composeServer } from "./compose.ts";
import type { Launched, ServerKind } from "./server-kind.ts";
import { type ServerKindName, serverKinds } from "./server-kinds.ts";

/** `environment`: a URL in the kind's variable. `standardPort`: 127.0.0.1, with the user that a fresh installation lets in. */
export type ServerProvider = "environment" | "standardPort" | "compose" | "launcher";

export interface ProvideServerOptions {
  readonly kind: ServerKindName;
  /** Stands in the table and in tests' names. Default: the kind. */
  readonly name?: string;
  /** Who is asked, in this order. Default: all four. */
  readonly providers?: readonly ServerProvider[];
  /** Starts it in another way than the kind's launcher with its defaults does. */
  readonly launch?: () => Promise<Launched>;
  /** For the provider `compose`, whose service is called as the kind. Default `docker-compose.yml` in the current folder. */
  readonly composeFile?: string;
}

/** A server to test on, or why there is none. */
export type ProvidedServer =
  | {
      readonly kind: "used";
      readonly name: string;
      readonly url: string;
      readonly version: string;
      /** Where it comes from, in words. */
      readonly from: string;
      /** Stops it if we started it; does nothing to a server that was there before. */
      stop(): Promise<void>;
    }
  | {
      readonly kind: "skipped";
      readonly name: string;
      /** Of every provider that was asked. */
      readonly reason: string;
      /** What somebody does who wants one. */
      readonly advice: string;
    };

/** Found by one provider, or why not. */
export type Provided =
  | {
      readonly url: string;
      readonly from: string;
      /** What we started ourselves we need not ask. */
      readonly version?: string;
      readonly stop: () => Promise<void>;
    }
  | { readonly reason: string };

const notOurs = async (): Promise<void> => {};

/**
 * Asks each provider in turn. What it starts must be stopped.
 *
 * Rejects if the kind's variable is set and nobody answers there, or a server of another kind.
 */
export async function provideServer(options: ProvideServerOptions): Promise<ProvidedServer> {
  const kind = serverKinds[options.kind];
  const name = options.name ?? options.kind;
  const reasons: string[] = [];
  for (const provider of options.providers ?? ["environment", "standardPort", "compose", "launcher"]) {
    const provided = await ask(provider, kind, options);
    if ("reason" in provided) {
      reasons.push(provided.reason);
      continue;
    }
    const { url, from, stop } = provided;
    try {
      return { kind: "used", name, url, from, stop, version: provided.version ?? (await kind.version(url)) };
    } catch (error) {
      await stop();
      throw new Error(`The ${kind.title} for "${name}" (${from}) does not answer: ${(error as Error).message}`, { cause: error });
    }
  }
  return { kind: "skipped", name, reason: reasons.join("; "), advice: kind.advice };
}

async function ask(provider: ServerProvider, kind: ServerKind, options: ProvideServerOptions): Promise<Provided> {
  switch (provider) {
    case "environment": {
      const url = process.env[kind.variable];
      return url === undefined || url === "" ? { reason: `${kind.variable} is not set` } : { url, from: kind.variable, stop: notOurs };
    }
    case "standardPort": {
      const found = await kind.atStandardPort();
      return "reason" in found ? found : { url: found.url, from: "standard port", stop: notOurs };
    }
    case "compose":
      return composeServer(options.composeFile ?? "docker-compose.yml", kind.compose);
    case "launcher":
      try {
        const server = await (options.launch ?? kind.launch)();
        return { url: server.url, version: server.version, from: kind.launchedFrom, stop: () => server.stop() };
      } catch (error) {
        return { reason: (error as Error).message };
      }
  }
}
