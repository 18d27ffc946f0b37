/**
 * Signed requests after RFC 9421 (HTTP Message Signatures), in one fixed profile: HMAC-SHA256 over method, path, query and the digest of the
 * body (RFC 9530), with a time and a nonce.
 *
 *     Content-Digest: sha-256=:…:
 *     Signature-Input: waybill=("@method" "@path" "@query" "content-digest");created=…;nonce="…";keyid="…";alg="hmac-sha256"
 *     Signature: waybill=:…:
 *
 * Everything else – another order, a further parameter, a second signature – is refused: what cannot vary cannot be varied by somebody else. The digest
 * covers the empty body, too. Pure: whether a time is near enough and a nonce new is for whoever knows the time and the nonces.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Secret } from "./secret.ts";

/** What is signed of a request: its target as sent, and its body. */
export interface SignedRequest {
  readonly method: string;
  /** `/v1/…`, as on the wire, with what follows a `?`. */
  readonly target: string;
  readonly body: Uint8Array;
}

export interface RequestSignatureHeaders {
  readonly "content-digest": string;
  readonly "signature-input": string;
  readonly signature: string;
}

/** What a request's headers claim. Nothing of it is proved yet. */
export interface ClaimedSignature {
  readonly keyId: string;
  readonly createdMs: number;
  readonly nonce: string;
  readonly digest: string;
  /** As it stands in the header, and is signed. */
  readonly parameters: string;
  readonly signature: Uint8Array;
}

const components = '("@method" "@path" "@query" "content-digest")';
const inputPattern =
  /^waybill=(\("@method" "@path" "@query" "content-digest"\);created=([0-9]{1,12});nonce="([A-Za-z0-9_-]{16,64})";keyid="([a-z0-9][a-z0-9-]{0,62})";alg="hmac-sha256")$/;
const signaturePattern = /^waybill=:([A-Za-z0-9+/]{43}=):$/;
const digestPattern = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;

/** The headers of a request, signed with a key at a time. */
export function signRequest(
  key: { readonly id: string; readonly secret: Secret },
  request: SignedRequest,
  when: { readonly createdMs: number; readonly nonce: string },
): RequestSignatureHeaders {
  const parameters = `${components};created=${Math.floor(when.createdMs / 1000)};nonce="${when.nonce}";keyid="${key.id}";alg="hmac-sha256"`;
  const digest = digestOf(request.body);
  const signature = hmac(key.secret, signatureBase(request, digest, parameters)).toString("base64");
  return { "content-digest": digest, "signature-input": `waybill=${parameters}`, signature: `waybill=:${signature}:` };
}

/** Reads the headers of a request; null: there is no signature, or it is not of this profile. */
export function readSignature(headers: { readonly [Name in keyof RequestSignatureHeaders]?: string | undefined }): ClaimedSignature | null {
  const input = inputPattern.exec(headers["signature-input"] ?? "");
  const signature = signaturePattern.exec(headers.signature ?? "")?.[1];
  const digest = headers["content-digest"] ?? "";
  if (input === null || signature === undefined || !digestPattern.test(digest)) return null;
  const [, parameters, created, nonce, keyId] = input as unknown as readonly [string, string, string, string, string];
  return { keyId, createdMs: Number(created) * 1000, nonce, digest, parameters, signature: Buffer.from(signature, "base64") };
}

/**
 * True if the request was signed with one of these secrets: its method, path and query, and the digest it names, are what the holder of the key
 * sent. So a forger is refused before his body is read; then ask `isDigestOf`.
 */
export function isSignedBy(claimed: ClaimedSignature, secrets: readonly Secret[], request: Omit<SignedRequest, "body">): boolean {
  const base = signatureBase(request, claimed.digest, claimed.parameters);
  let isOurs = false;
  for (const secret of secrets) {
    const expected = hmac(secret, base);
    if (expected.length === claimed.signature.length && timingSafeEqual(expected, claimed.signature)) isOurs = true;
  }
  return isOurs;
}

/** True if this is the body that the signature is about. */
export function isDigestOf(claimed: ClaimedSignature, body: Uint8Array): boolean {
  return claimed.digest === digestOf(body);
}

function signatureBase({ method, target }: Omit<SignedRequest, "body">, digest: string, parameters: string): string {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  // RFC 9421, §2.2.7: an absent query is signed as a lone question mark.
  const query = mark < 0 ? "?" : target.slice(mark);
  const lines = [`"@method": ${method}`, `"@path": ${path}`, `"@query": ${query}`, `"content-digest": ${digest}`];
  return [...lines, `"@signature-params": ${parameters}`].join("\n");
}

function digestOf(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

function hmac(secret: Secret, text: string): Buffer {
  return createHmac("sha256", secret.reveal()).update(text, "utf8").digest();
}
