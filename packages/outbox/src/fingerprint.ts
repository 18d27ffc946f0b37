import { createHash } from "node:crypto";
import type { Message } from "@waybill/core";

/**
 * What tells a repeat from a mix-up when an id of the caller's own comes a second time: SHA-256, in hex, over type, topic and key,
 * each ended by a line feed (none of them can hold one; no key counts as empty), then `-` for a tombstone, or `+` and the payload's
 * bytes. Headers are left out: a repeat usually belongs to another trace.
 */
export function fingerprint({ type, topic, key, payload }: Message): string {
  const hash = createHash("sha256").update(`${type}\n${topic}\n${key ?? ""}\n${payload === null ? "-" : "+"}`);
  return (payload === null ? hash : hash.update(payload)).digest("hex");
}
