/**
 * Signatures after the Standard Webhooks specification (standardwebhooks.com, 1.0.0): HMAC-SHA256 over `id.timestamp.body`, sent
 * in `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature` (`v1,<base64>`, several separated by spaces
 * while a secret is being replaced).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { throwConfigProblems, waybillError } from "./errors.ts";
import { type Secret, secret } from "./secret.ts";

/** The three headers of a signed request. */
export interface SignatureHeaders {
  readonly "webhook-id": string;
  readonly "webhook-timestamp": string;
  readonly "webhook-signature": string;
}

/** A request to sign or to verify: its message id, and its body exactly as sent. */
export interface SignedContent {
  readonly id: string;
  readonly timestampMs: number;
  readonly body: Uint8Array;
}

/** Five minutes, as the specification recommends. */
export const signatureToleranceMs = 300_000;

const prefix = "whsec_";
const secretBytesMin = 24;
const secretBytesMax = 64;

/**
 * Takes a signing secret as written in a configuration: `whsec_` and base64, 24 to 64 bytes.
 *
 * @throws WAYBILL_CONFIG_INVALID, without the value
 */
export function signingSecret(text: string): Secret {
  const encoded = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  const bytes = Buffer.from(encoded, "base64");
  const isBase64 = bytes.toString("base64").replace(/=+$/, "") === encoded.replace(/=+$/, "");
  const isUsable = isBase64 && bytes.length >= secretBytesMin && bytes.length <= secretBytesMax;
  if (!isUsable) {
    throwConfigProblems("Signing", [
      { option: "secret", problem: `${prefix} and the base64 of ${secretBytesMin} to ${secretBytesMax} bytes` },
    ]);
  }
  return secret(encoded);
}

/** Signs a request with every active secret: two while one is being replaced. */
export function sign(secrets: readonly Secret[], content: SignedContent): SignatureHeaders {
  const timestamp = String(Math.floor(content.timestampMs / 1000));
  const signatures = secrets.map((active) => `v1,${hmac(active, content.id, timestamp, content.body).toString("base64")}`);
  return { "webhook-id": content.id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

/**
 * Verifies a request: returns if one of its signatures was made with one of our secrets and its time is within five minutes of ours.
 * Compares in constant time, and the time only after the signature, so that an answer tells nothing about the secret.
 *
 * @throws WAYBILL_SIGNATURE_INVALID: missing, malformed, forged or stale
 */
export function verifySignature(
  secrets: readonly Secret[],
  headers: { readonly [Name in keyof SignatureHeaders]: string | undefined },
  body: Uint8Array,
  nowMs: number,
): void {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = headers;
  if (id === undefined || timestamp === undefined || signature === undefined) throw signatureInvalid("missing");
  if (!/^[0-9]{1,12}$/.test(timestamp) || id === "" || signature.length > 2_048) throw signatureInvalid("malformed");
  const offered = signature.split(" ").flatMap((one) => (one.startsWith("v1,") ? [Buffer.from(one.slice(3), "base64")] : []));
  let isOurs = false;
  for (const active of secrets) {
    const expected = hmac(active, id, timestamp, body);
    for (const one of offered) {
      if (one.length === expected.length && timingSafeEqual(one, expected)) isOurs = true;
    }
  }
  if (!isOurs) throw signatureInvalid("forged");
  if (Math.abs(nowMs - Number(timestamp) * 1000) > signatureToleranceMs) throw signatureInvalid("stale");
}

function hmac(active: Secret, id: string, timestamp: string, body: Uint8Array): Buffer {
  return createHmac("sha256", Buffer.from(active.reveal(), "base64")).update(`${id}.${timestamp}.`, "utf8").update(body).digest();
}

function signatureInvalid(reason: "missing" | "malformed" | "forged" | "stale"): Error {
  return waybillError("WAYBILL_SIGNATURE_INVALID", `The request is refused: its signature is ${reason}.`, { reason });
}
