import { createHash } from "node:crypto";

/** What makes a half message the one it is: another body under the same id is a mistake, and is told so. */
export interface Fingerprinted {
  readonly barrier: string | null;
  readonly order: "decision" | "prepare";
  readonly messages: readonly FingerprintedMessage[];
}

export interface FingerprintedMessage {
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly businessKey: string | null;
  readonly delayMs: number;
  readonly receivers: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** A retry is made under another span. */
const traceHeaders: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage"]);

/**
 * SHA-256, hexadecimal, over each field as its length in four bytes and its bytes, null as the length 0xFFFFFFFF. Lists begin with their number, so that
 * nothing can pass for its neighbour.
 */
export function fingerprintOf({ barrier, order, messages }: Fingerprinted): string {
  const hash = createHash("sha256");
  const add = (field: string | Uint8Array | null): void => {
    const bytes = typeof field === "string" ? Buffer.from(field, "utf8") : field;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes === null ? 0xffff_ffff : bytes.length);
    hash.update(length);
    if (bytes !== null) hash.update(bytes);
  };
  add(barrier);
  add(order);
  for (const message of messages) {
    for (const field of [message.messageId, message.type, message.topic, message.key, message.businessKey]) add(field);
    add(String(message.delayMs));
    add(String(message.receivers.length));
    for (const receiver of [...message.receivers].sort()) add(receiver);
    const headers = Object.entries(message.headers).filter(([name]) => !traceHeaders.has(name));
    add(String(headers.length));
    for (const [name, value] of headers.sort(([one], [other]) => (one < other ? -1 : 1))) {
      add(name);
      add(value);
    }
    add(message.payload);
  }
  return hash.digest("hex");
}
