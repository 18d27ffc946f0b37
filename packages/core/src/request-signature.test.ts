import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { isDigestOf, isSignedBy, readSignature, signRequest } from "./request-signature.ts";
import { secret } from "./secret.ts";

const key = { id: "payments-1", secret: secret("0123456789abcdef0123456789abcdef") };
const request = { method: "PUT", target: "/v1/producers/payments/half-messages/a?x=1", body: Buffer.from('{"a":1}') };
const when = { createdMs: 1_618_884_473_900, nonce: "AAAAAAAAAAAAAAAA" };
const headers = signRequest(key, request, when);

function isValid(changed: Partial<typeof headers>, sent: Partial<typeof request> = {}, secrets = [key.secret]): boolean {
  const claimed = readSignature({ ...headers, ...changed });
  const arrived = { ...request, ...sent };
  return claimed !== null && isSignedBy(claimed, secrets, arrived) && isDigestOf(claimed, arrived.body);
}

test("a signature is the HMAC of the lines that RFC 9421 builds of method, path, query and digest", () => {
  const digest = "sha-256=:AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=:";
  const parameters =
    '("@method" "@path" "@query" "content-digest");created=1618884473;nonce="AAAAAAAAAAAAAAAA";keyid="payments-1";alg="hmac-sha256"';
  const base = `"@method": PUT\n"@path": /v1/producers/payments/half-messages/a\n"@query": ?x=1\n"content-digest": ${digest}\n"@signature-params": ${parameters}`;
  const signature = createHmac("sha256", "0123456789abcdef0123456789abcdef").update(base).digest("base64");
  expect(headers).toEqual({ "content-digest": digest, "signature-input": `waybill=${parameters}`, signature: `waybill=:${signature}:` });
});

test("the digest of an empty body is that of no bytes", () => {
  const { "content-digest": digest } = signRequest(key, { method: "GET", target: "/livez", body: Buffer.alloc(0) }, when);
  expect(digest).toBe("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
});

test("what was signed is accepted with either of two active secrets", () => {
  expect(isValid({})).toBe(true);
  expect(isValid({}, {}, [secret("another secret of thirty-two bytes"), key.secret])).toBe(true);
  expect(readSignature(headers)).toMatchObject({ keyId: "payments-1", nonce: "AAAAAAAAAAAAAAAA", createdMs: 1_618_884_473_000 });
});

test.each([
  ["another method", { method: "POST" }],
  ["another path", { target: "/v1/producers/payments/half-messages/b?x=1" }],
  ["another query", { target: "/v1/producers/payments/half-messages/a?x=2" }],
  ["no query", { target: "/v1/producers/payments/half-messages/a" }],
  ["another body", { body: Buffer.from('{"a":2}') }],
])("a signature over %s is refused", (_, sent) => {
  expect(isValid({}, sent)).toBe(false);
});

test("another secret is refused", () => {
  expect(isValid({}, {}, [secret("another secret of thirty-two bytes")])).toBe(false);
  expect(isValid({}, {}, [])).toBe(false);
});

const input = headers["signature-input"];
test.each([
  ["no input", { "signature-input": "" }],
  ["another label", { "signature-input": input.replace("waybill=", "sig1=") }],
  ["fewer components", { "signature-input": input.replace(' "@query"', "") }],
  ["another order of components", { "signature-input": input.replace('"@method" "@path"', '"@path" "@method"') }],
  ["another order of parameters", { "signature-input": input.replace(/;created=(\d+);nonce="(\w+)"/, ';nonce="$2";created=$1') }],
  ["a further parameter", { "signature-input": `${input};expires=1` }],
  ["another algorithm", { "signature-input": input.replace("hmac-sha256", "hmac-sha512") }],
  ["a second signature", { "signature-input": `${input}, ${input}` }],
  ["a nonce that is too short", { "signature-input": input.replace("AAAAAAAAAAAAAAAA", "AAAA") }],
  ["no signature", { signature: "" }],
  ["a signature of another length", { signature: "waybill=:AAAA:" }],
  ["no digest", { "content-digest": "" }],
  ["another digest", { "content-digest": headers["content-digest"].replace("sha-256", "sha-512") }],
])("%s is refused as not of the profile", (_, changed) => {
  expect(readSignature({ ...headers, ...changed })).toBeNull();
});
