import { type WaybillError, waybillError } from "./errors.ts";
import { limits } from "./limits.ts";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";

/**
 * Headers travel beside the payload through every broker, so their grammar is the narrowest of all of them.
 * Names: lower case, digits and hyphens, at most 64 characters. Values: any text without control characters.
 */
const namePattern = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** These belong to the transports, to signatures and to CloudEvents. */
const reservedPrefixes = ["waybill-", "webhook-", "ce-"];

/**
 * Hop-by-hop names (RFC 9110 §7.6.1), names that address or authenticate the HTTP request itself, and `content-type`, which
 * belongs to the message's definition: a second opinion about what the payload is would be silently wrong for somebody.
 */
const reservedNames: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Where `append` keeps the catalogue's source; the one `ce-` header that is stored. */
export const sourceHeader = "ce-source";

/**
 * Set on every message that a replay publishes again, to `stream/subscription`: consumers that already had it can tell. An ordinary name, so that every
 * transport carries it; it takes the place of a header of that name that the message had.
 */
export const replayHeader = "replay-of";

/**
 * Names the consumers that must confirm a message, parted by commas: whoever is among them tells the producer when its effect is committed. An ordinary
 * name, as `replayHeader`.
 */
export const confirmByHeader = "confirm-by";

function headersInvalid(header: string, rule: string): WaybillError<"WAYBILL_HEADERS_INVALID"> {
  return waybillError("WAYBILL_HEADERS_INVALID", `Header ${JSON.stringify(header.slice(0, 80))} cannot be sent: ${rule}.`, {
    header: header.slice(0, 80),
    rule,
  });
}

/** The bytes of headers as HTTP lines, values percent-encoded: the form with the largest overhead of all transports. */
export function headersBytes(headers: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + 2 + utf8Bytes(percentEncode(value)) + 2;
  return bytes;
}

/**
 * Checks headers that a caller gave and returns them as a map.
 *
 * @throws WAYBILL_HEADERS_INVALID names the header and the rule, never the value.
 */
export function validateHeaders(headers: Readonly<Record<string, string>> | ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const entries = headers instanceof Map ? [...headers] : Object.entries(headers as Readonly<Record<string, string>>);
  if (entries.length > limits.headersMax)
    throw headersInvalid("*", `at most ${limits.headersMax} headers are sent, ${entries.length} were given`);
  const checked = new Map<string, string>();
  for (const [name, value] of entries as [string, unknown][]) {
    if (!namePattern.test(name)) throw headersInvalid(name, "a name is 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit");
    if (reservedNames.has(name) || reservedPrefixes.some((prefix) => name.startsWith(prefix)))
      throw headersInvalid(name, "the name is reserved");
    if (typeof value !== "string") throw headersInvalid(name, "a value is a string");
    if (!isWellFormed(value)) throw headersInvalid(name, "the value holds a lone surrogate");
    if (hasControlCharacter(value)) throw headersInvalid(name, "the value holds a control character");
    checked.set(name, value);
  }
  const bytes = headersBytes(checked);
  if (bytes > limits.headerBytesMax)
    throw headersInvalid("*", `all headers together take ${bytes} bytes, at most ${limits.headerBytesMax} are sent`);
  return checked;
}

const percentEncoded = /[^\x21\x23\x24\x26-\x7e]/gu;

/**
 * Percent-encodes a value as the HTTP binding of CloudEvents does (v1.0.2, §3.1.3.2): everything outside printable ASCII, and
 * space, double quote and percent. The argument must be well formed.
 */
export function percentEncode(value: string): string {
  return value.replace(percentEncoded, (character) =>
    [...Buffer.from(character, "utf8")].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** Undoes `percentEncode`; null if what was encoded is no UTF-8. A stray `%` is kept as it is, as the binding asks. */
export function percentDecode(value: string): string | null {
  try {
    // A run of encoded bytes at a time: what stands between them is text already, whoever sent it.
    return value.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(run.replaceAll("%", ""), "hex")),
    );
  } catch {
    return null;
  }
}
