import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import { createSecureContext } from "node:tls";
import type { DialGuard } from "./dial-guard.ts";

/** Trust and identity for `https:`. Certificates are always verified; nothing here switches that off. */
export interface TlsOptions {
  /** Certificates, PEM, of the authorities to trust instead of the well-known ones. */
  readonly ca?: string;
  /** Our own certificate and its private key, PEM, for receivers that ask for one. */
  readonly cert?: string;
  readonly key?: string;
}

/**
 * The rule that these options break, or null. Asked once, at configuration: a certificate that does not load would fail every
 * request before it is made, through no fault of any message. The library's own words are left out, for they are about a key.
 */
export function tlsProblem({ ca, cert, key }: TlsOptions): string | null {
  if ((cert === undefined) !== (key === undefined)) return "needs cert and key together, or neither";
  try {
    createSecureContext({ ca, cert, key });
    return null;
  } catch {
    return "must be PEM: the authorities as ca, a certificate as cert and the private key that belongs to it, not encrypted, as key";
  }
}

/** The connections to one destination; shared with no other. */
export interface Connections {
  readonly guard: DialGuard;
  /** Keeps connections alive between requests. */
  readonly kept: HttpAgent;
  /** Opens one connection per request and keeps none. */
  readonly fresh: HttpAgent;
  /** True if the socket has carried a request before; from now on it has. */
  isReused(socket: Socket): boolean;
  /** What ends the requests that are under way. */
  readonly underWay: Set<(reason: string) => void>;
  /** Ends what is under way with `reason`, and closes every socket. */
  destroy(reason: string): void;
}

/**
 * Node's servers close a connection that was idle for 5 s. Ours are dropped before that, so that a request rarely meets one
 * that is just being closed.
 */
const idleMsMax = 4_000;

export function connections(
  guard: DialGuard,
  options: { readonly isTls: boolean; readonly tls: TlsOptions; readonly socketsMax: number },
): Connections {
  const { isTls, socketsMax } = options;
  const shared = { maxSockets: socketsMax, maxFreeSockets: socketsMax, timeout: idleMsMax };
  const agent = (keepAlive: boolean): HttpAgent =>
    isTls ? new HttpsAgent({ ...shared, ...options.tls, keepAlive, rejectUnauthorized: true }) : new HttpAgent({ ...shared, keepAlive });
  const kept = agent(true);
  const fresh = agent(false);
  const seen = new WeakSet<Socket>();
  const underWay = new Set<(reason: string) => void>();
  return {
    guard,
    kept,
    fresh,
    underWay,
    isReused: (socket) => {
      const isReused = seen.has(socket);
      seen.add(socket);
      return isReused;
    },
    destroy: (reason) => {
      for (const end of underWay) end(reason);
      kept.destroy();
      fresh.destroy();
    },
  };
}
