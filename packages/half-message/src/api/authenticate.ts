/**
 * Who calls: a key that signed the request, or whose certificate did. A forger learns nothing and costs little: method, path and the claimed digest are
 * verified before the body is read, the time after the signature, the nonce last.
 */
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { type ClaimedSignature, type Clock, isSignedBy, readSignature } from "@waybill/core";
import type { KeyRing } from "../keys.ts";
import type { Nonce } from "../store.ts";
import { problem } from "./problem.ts";
import type { Caller, Scope } from "./route.ts";

export interface AuthenticationOptions {
  readonly keys: KeyRing;
  readonly clock: Clock;
  readonly toleranceMs: number;
  /** Everybody may do everything. */
  readonly insecureDev: boolean;
}

export interface Authenticated {
  readonly caller: Caller;
  /** What the body must have the digest of; null: nothing says. */
  readonly claimed: ClaimedSignature | null;
  readonly nonce: Nonce | null;
}

/** Nonces remembered by this replica; beyond, the oldest are forgotten. */
const noncesMax = 500_000;

const allScopes: readonly Scope[] = ["prepare", "decide", "check", "read", "ack", "receive", "operate", "register", "reveal", "metrics"];
const anybody: Caller = { keyId: "insecure-dev", scopes: new Set(allScopes), name: null, isAnybody: true };

/** @throws ApiProblem unauthenticated, signature_expired, request_replayed */
export type Authenticate = (request: IncomingMessage) => Authenticated;

export function authentication({ keys, clock, toleranceMs, insecureDev }: AuthenticationOptions): Authenticate {
  /** By key and nonce: when it may be forgotten. In the order of their coming, and so nearly in that of their going. */
  const seen = new Map<string, number>();

  const remember = (what: string): void => {
    const nowMs = clock.monotonicMs();
    for (const [oldest, untilMs] of seen) {
      if (untilMs > nowMs && seen.size < noncesMax) break;
      seen.delete(oldest);
    }
    seen.set(what, nowMs + 2 * toleranceMs);
  };

  return (request) => {
    if (insecureDev) return { caller: anybody, claimed: null, nonce: null };
    const certified = keyOfCertificate(request, keys);
    if (certified !== null) return { caller: certified, claimed: null, nonce: null };
    const claimed = readSignature({
      "content-digest": headerOf(request, "content-digest"),
      "signature-input": headerOf(request, "signature-input"),
      signature: headerOf(request, "signature"),
    });
    const key = claimed === null ? null : keys.find(claimed.keyId);
    const signed = { method: request.method ?? "", target: request.url ?? "" };
    if (claimed === null || key === null || !isSignedBy(claimed, key.secrets(), signed)) throw problem("unauthenticated");
    if (Math.abs(clock.wallMs() - claimed.createdMs) > toleranceMs) throw problem("signature_expired");
    const what = `${claimed.keyId}/${claimed.nonce}`;
    if (seen.has(what)) throw problem("request_replayed");
    remember(what);
    const nonce = { keyId: claimed.keyId, nonce: claimed.nonce, expiresAfterMs: 2 * toleranceMs };
    return { caller: key.caller, claimed, nonce };
  };
}

/** Two headers of one name are two opinions: neither counts. */
function headerOf(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}

/** The caller of a certificate that our authority signed: the first of its alternative names that is a key's id. */
function keyOfCertificate(request: IncomingMessage, keys: KeyRing): Caller | null {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  const names = socket.getPeerCertificate().subjectaltname ?? "";
  for (const name of names.split(", ")) {
    const key = keys.find(/^(?:DNS|URI):([a-z0-9][a-z0-9-]{0,62})$/.exec(name)?.[1] ?? "");
    if (key !== null) return key.caller;
  }
  return null;
}
