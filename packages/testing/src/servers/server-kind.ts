import type { StartedServer } from "./started-server.ts";

/** Found, or why not. */
export type Found = { readonly url: string } | { readonly reason: string };

/** A service of a compose file, and how its clients reach it. */
export interface ComposeService {
  readonly name: string;
  /** The port inside the container. */
  readonly port: number;
  /** `address` is `host:port` on this machine; `environment` is the container's, with its credentials. */
  url(address: string, environment: Readonly<Record<string, string | null>>): string;
}

/** What a run needs of what it started. */
export type Launched = Pick<StartedServer, "url" | "version" | "stop">;

/** What `provideServer` must know about one kind of server. All else is the same for every kind. */
export interface ServerKind {
  /** For messages: `PostgreSQL`. */
  readonly title: string;
  /** The environment variable that holds a URL. */
  readonly variable: string;
  /** Looks at the standard port of 127.0.0.1, with the user that a fresh installation lets in. */
  atStandardPort(): Promise<Found>;
  readonly compose: ComposeService;
  /** Where a launched one comes from, in words. */
  readonly launchedFrom: string;
  launch(): Promise<Launched>;
  /** Connects and asks. Rejects if nobody answers there, or a server of another kind. */
  version(url: string): Promise<string>;
  /** What somebody does who has none. */
  readonly advice: string;
}
