import fc from "fast-check";
import { expect, test } from "vitest";
import { isWaybillError } from "./errors.ts";
import { headersBytes, percentDecode, percentEncode, validateHeaders } from "./headers.ts";

function refusal(headers: Record<string, unknown> | ReadonlyMap<string, string>): { header: string; rule: string; message: string } {
  try {
    validateHeaders(headers as Record<string, string>);
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_HEADERS_INVALID")) return { ...error.facts, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

test("headers come back as a map, from a record and from a map", () => {
  expect([...validateHeaders({ "tenant-id": "acme", "2fa": "yes" })]).toEqual([
    ["tenant-id", "acme"],
    ["2fa", "yes"],
  ]);
  expect([...validateHeaders(new Map([["tenant-id", "acme"]]))]).toEqual([["tenant-id", "acme"]]);
});

test("a name is 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit", () => {
  expect(validateHeaders({ ["a".repeat(64)]: "" }).size).toBe(1);
  for (const name of ["", "-a", "A", "tenant_id", "a b", "a:b", "ä", "a\n", "__proto__", "a".repeat(65)]) {
    expect(refusal(new Map([[name, "x"]])).rule).toMatch(/^a name is/);
  }
});

test("the names of transports, signatures, CloudEvents and HTTP itself are reserved", () => {
  const reserved = [
    "waybill-id",
    "webhook-signature",
    "ce-source",
    "ce-type",
    "content-type",
    "content-length",
    "host",
    "authorization",
    "cookie",
  ];
  for (const name of [...reserved, "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization"]) {
    expect(refusal({ [name]: "x" })).toMatchObject({ header: name, rule: "the name is reserved" });
  }
});

test("a value is text without control characters and lone surrogates", () => {
  expect(validateHeaders({ note: "grün 🧾 \u00a0" }).get("note")).toBe("grün 🧾 \u00a0");
  for (const value of ["a\r\nb", "\u0000", "\u0085"]) expect(refusal({ note: value }).rule).toBe("the value holds a control character");
  expect(refusal({ note: "\ud800" }).rule).toBe("the value holds a lone surrogate");
  for (const value of [1, null, undefined, ["a"]]) expect(refusal({ note: value }).rule).toBe("a value is a string");
});

test("64 headers are sent, 65 are not", () => {
  const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`h${index}`, ""]));
  expect(validateHeaders(headers(64)).size).toBe(64);
  expect(refusal(headers(65)).rule).toContain("at most 64");
});

test("8192 bytes are sent, one more is not; they are counted percent-encoded, as HTTP lines", () => {
  const overhead = "note".length + 4;
  expect(validateHeaders({ note: "a".repeat(8_192 - overhead) }).size).toBe(1);
  expect(refusal({ note: "a".repeat(8_193 - overhead) })).toMatchObject({ header: "*", rule: expect.stringContaining("8193") });
  expect(validateHeaders({ note: "€".repeat(Math.floor((8_192 - overhead) / 9)) }).size).toBe(1);
  expect(refusal({ note: "€".repeat(Math.floor((8_192 - overhead) / 9) + 1) }).header).toBe("*");
  expect(headersBytes(new Map([["note", " €"]]))).toBe(overhead + 3 + 9);
});

test("a refusal never shows the value, and of a long name only its beginning", () => {
  const { header, rule, message } = refusal({ ["x".repeat(500)]: "secret-value" });
  expect(header.length).toBeLessThanOrEqual(80);
  expect(message + rule).not.toContain("secret-value");
  expect(refusal({ note: "secret-value\n" }).message).not.toContain("secret-value");
});

test("percent-encoding follows the HTTP binding of CloudEvents", () => {
  expect(percentEncode("Euro € 😀")).toBe("Euro%20%E2%82%AC%20%F0%9F%98%80");
  expect(percentEncode('100% "quoted" ~!')).toBe("100%25%20%22quoted%22%20~!");
});

test("decoding gives back whatever well-formed text was encoded", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const encoded = percentEncode(text);
      expect(encoded).toMatch(/^[\x21-\x7e]*$/);
      expect(percentDecode(encoded)).toBe(text);
    }),
  );
});

test("decoding keeps a stray percent sign and plain text beyond ASCII, and answers null for bytes that are no UTF-8", () => {
  expect(percentDecode("100% of %zz")).toBe("100% of %zz");
  expect(percentDecode("€%20ü")).toBe("€ ü");
  expect(percentDecode("%EF%BB%BFa")).toBe("\ufeffa");
  for (const broken of ["%FF", "%E2%82", "%E2%82x%AC", "%ED%A0%80"]) expect(percentDecode(broken)).toBeNull();
});
