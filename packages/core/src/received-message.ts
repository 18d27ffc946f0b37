/**
 * What a broker delivered, as a message. A broker has no sender to whom a record could be refused, so whatever lies in a queue or a log
 * becomes a message, and the inbox decides: what it cannot run becomes a dead letter, with everything in it that can be kept.
 *
 *     a readable envelope            the message
 *     an attribute that is unusable  the message without it; without a type its type is one that nobody knows
 *     no envelope, or not 1.0        an empty id and type, the payload as it came
 */
import { sequenceOf, timeOf } from "./cloud-events.ts";
import { isDeliveryHeader } from "./delivery-headers.ts";
import { isWaybillError } from "./errors.ts";
import { contentTypeProblem, keyProblem, sourceProblem, topicProblem, typeProblem } from "./grammar.ts";
import { headersBytes, sourceHeader, validateHeaders } from "./headers.ts";
import { limits } from "./limits.ts";
import type { ReceivedMessage } from "./message.ts";
import { isMessageId } from "./message-id.ts";

/** What came over the wire. */
export interface ArrivedMessage {
  /** CloudEvents attributes without their prefix. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Everything else beside the payload, `content-type` included. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
  readonly payload: Uint8Array | null;
  /** What the broker knows itself, for messages that do not say. */
  readonly otherwise: { readonly topic: string | null; readonly key: string | null; readonly createdAtMs: number | null };
}

/** Never throws, and keeps within the limits whatever a stranger sent: headers that a message may not have are left out. */
export function receivedMessage({ attributes, headers, payload, otherwise }: ArrivedMessage): ReceivedMessage {
  const isEnvelope = attributes.get("specversion") === "1.0";
  const usable = (name: string, isUsable: (value: string) => boolean): string | null => {
    const value = attributes.get(name);
    return isEnvelope && value !== undefined && isUsable(value) ? value : null;
  };
  const source = usable("source", (value) => sourceProblem(value) === null);
  const time = timeOf(usable("time", () => true) ?? undefined);
  return {
    id: usable("id", isMessageId) ?? "",
    type: usable("type", (value) => typeProblem(value) === null) ?? "",
    topic: usable("topic", (value) => topicProblem(value) === null) ?? otherwise.topic,
    key: usable("partitionkey", (value) => keyProblem(value) === null) ?? otherwise.key,
    headers: new Map([...keepHeaders(attributes, headers), ...(source === null ? [] : [[sourceHeader, source] as const])]),
    payload,
    sequence: sequenceOf(usable("sequence", () => true) ?? undefined),
    createdAtMs: time === null || Number.isNaN(time) ? otherwise.createdAtMs : time,
  };
}

const knownAttributes: ReadonlySet<string> = new Set(["specversion", "id", "source", "type", "time", "topic", "sequence", "partitionkey"]);

/** The headers that a message may have, as many of them as it may; extension attributes that are not ours are kept as `ce-` headers. */
function keepHeaders(attributes: ReadonlyMap<string, string>, headers: Iterable<readonly [string, string]>): Map<string, string> {
  const kept = new Map<string, string>();
  const delivery = new Map<string, string>();
  let bytes = 0;
  const keep = (name: string, value: string): void => {
    const size = headersBytes(new Map([[name, value]]));
    if (kept.size >= limits.headersMax || bytes + size > limits.headerBytesMax) return;
    kept.set(name, value);
    bytes += size;
  };
  for (const [name, value] of headers)
    if (isDeliveryHeader(name, value)) delivery.set(name, value);
    else if (name === "content-type" ? contentTypeProblem(value) === null : mayHave(name, value)) keep(name, value);
  for (const [name, value] of attributes)
    if (!knownAttributes.has(name) && /^[a-z0-9]{1,20}$/.test(name) && mayHave("x", value)) keep(`ce-${name}`, value);
  return new Map([...kept, ...delivery]);
}

function mayHave(name: string, value: string): boolean {
  try {
    validateHeaders({ [name]: value });
    return true;
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_HEADERS_INVALID")) throw error;
    return false;
  }
}
