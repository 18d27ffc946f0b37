import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { isWaybillError } from "./errors.ts";
import { type SignatureHeaders, sign, signingSecret, verifySignature } from "./signature.ts";

const oldText = `whsec_${randomBytes(32).toString("base64")}`;
const newText = `whsec_${randomBytes(24).toString("base64")}`;
const oldSecret = signingSecret(oldText);
const newSecret = signingSecret(newText);
const id = "0b5f4a52-3c0e-7d50-8f6f-3b1c8f0a7c11";
const nowMs = 1_800_000_000_500;
const body = Buffer.from('{"orderId":"ü"}');

function reasonOf(headers: Partial<SignatureHeaders>, given: Uint8Array = body, atMs = nowMs, secrets = [oldSecret]): string {
  const all = { "webhook-id": undefined, "webhook-timestamp": undefined, "webhook-signature": undefined, ...headers };
  try {
    verifySignature(secrets, all, given, atMs);
    return "verified";
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_SIGNATURE_INVALID")) return error.facts.reason;
    throw error;
  }
}

const signed = sign([oldSecret], { id, timestampMs: nowMs, body });

test("a request is verified with the secret that signed it, binary bodies too", () => {
  expect(reasonOf(signed)).toBe("verified");
  const binary = new Uint8Array([0, 255, 10, 13]);
  expect(reasonOf(sign([oldSecret], { id, timestampMs: nowMs, body: binary }), binary)).toBe("verified");
  expect(signed["webhook-timestamp"]).toBe("1800000000");
});

test("while a secret is replaced, either side may be ahead", () => {
  const both = sign([oldSecret, newSecret], { id, timestampMs: nowMs, body });
  expect(both["webhook-signature"].split(" ")).toHaveLength(2);
  expect(reasonOf(both, body, nowMs, [oldSecret])).toBe("verified");
  expect(reasonOf(both, body, nowMs, [newSecret])).toBe("verified");
  expect(reasonOf(signed, body, nowMs, [newSecret, oldSecret])).toBe("verified");
});

test("another body, id, time, secret or signature is forged", () => {
  expect(reasonOf(signed, Buffer.from('{"orderId":"u"}'))).toBe("forged");
  expect(reasonOf({ ...signed, "webhook-id": "0b5f4a52-3c0e-7d50-8f6f-3b1c8f0a7c12" })).toBe("forged");
  expect(reasonOf({ ...signed, "webhook-timestamp": "1800000001" })).toBe("forged");
  expect(reasonOf(signed, body, nowMs, [newSecret])).toBe("forged");
  expect(reasonOf(signed, body, nowMs, [])).toBe("forged");
  for (const signature of ["", "v1,", "v1,AAAA", "v2,AAAA", signed["webhook-signature"].replace("v1,", "v1a,"), "v1,".repeat(600)]) {
    expect(reasonOf({ ...signed, "webhook-signature": signature })).toBe("forged");
  }
});

test("five minutes to either side are accepted, more are stale", () => {
  const atMs = 1_800_000_000_000;
  expect(reasonOf(signed, body, atMs + 300_000)).toBe("verified");
  expect(reasonOf(signed, body, atMs - 300_000)).toBe("verified");
  expect(reasonOf(signed, body, atMs + 300_001)).toBe("stale");
  expect(reasonOf(signed, body, atMs - 300_001)).toBe("stale");
});

test("a forged signature is called forged however old it is", () => {
  expect(reasonOf({ ...signed, "webhook-signature": "v1,AAAA" }, body, nowMs + 900_000)).toBe("forged");
});

test("a missing header is missing, an unreadable one malformed", () => {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"] as const) {
    const { [name]: _, ...others } = signed;
    expect(reasonOf(others)).toBe("missing");
  }
  for (const timestamp of ["", "soon", "-1", "1e9", "1800000000.5", "1".repeat(13)]) {
    expect(reasonOf({ ...signed, "webhook-timestamp": timestamp })).toBe("malformed");
  }
  expect(reasonOf({ ...signed, "webhook-id": "" })).toBe("malformed");
  expect(reasonOf({ ...signed, "webhook-signature": "v1,".repeat(700) })).toBe("malformed");
});

test("a secret is base64 of 24 to 64 bytes, with or without its prefix, and an unusable one is not shown", () => {
  for (const bytes of [24, 64]) expect(() => signingSecret(randomBytes(bytes).toString("base64"))).not.toThrow();
  const unusable = [
    "",
    "whsec_",
    randomBytes(23).toString("base64"),
    randomBytes(65).toString("base64"),
    "open sesame, open sesame, open sesame!",
  ];
  for (const text of unusable) {
    try {
      signingSecret(text);
      expect.unreachable();
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
      expect(error.message).not.toContain("sesame");
      expect(error.facts.problems).toHaveLength(1);
    }
  }
  expect(String(oldSecret)).toBe("[redacted]");
});

test("the reference implementation of Standard Webhooks accepts what we sign, and we what it signs", () => {
  const theirs = new Webhook(oldText);
  const now = new Date();
  const ours = sign([oldSecret], { id, timestampMs: now.getTime(), body });
  expect(theirs.verify(body, { ...ours })).toEqual({ orderId: "ü" });
  const signature = theirs.sign(id, now, body.toString("utf8"));
  const headers = { "webhook-id": id, "webhook-timestamp": String(Math.floor(now.getTime() / 1000)), "webhook-signature": signature };
  expect(reasonOf(headers, body, now.getTime())).toBe("verified");
});
