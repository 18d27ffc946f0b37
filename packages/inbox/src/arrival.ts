import { isMessageId, type ReceivedMessage } from "@waybill/core";
import type { DeadLetter, Lane, NewDeadLetter } from "@waybill/dead-letter";
import { reasons } from "./decision.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** A message as the inbox works with it: everything in it can be stored. */
export interface Arrival {
  readonly message: ReceivedMessage;
  /** What dedupe goes by; made of the content if the message has no usable id. */
  readonly id: string;
  readonly hasUsableId: boolean;
  readonly fingerprint: string;
  /** null: it waits for no other, and no other for it. */
  readonly lane: Lane | null;
}

/** The range of dates that PostgreSQL, MySQL and JavaScript have in common, in ms since 1970: the years 1000 to 9999. */
const dateMsMin = -30_610_224_000_000;
const dateMsMax = 253_402_300_799_999;
const int8Max = 2n ** 63n - 1n;

/** A delivered message, with what a database cannot store put right: U+0000, a date or a sequence out of range, an id too long. */
export function arrivalOf(received: ReceivedMessage): Arrival {
  const hasUsableId = typeof received.id === "string" && isMessageId(received.id);
  const fingerprint = fingerprintOf(received.type, received.payload);
  const { createdAtMs, sequence } = received;
  const message: ReceivedMessage = {
    ...received,
    id: hasUsableId ? received.id : `unusable-id:${fingerprint}`,
    type: storable(received.type),
    topic: received.topic === null ? null : storable(received.topic),
    key: received.key === null ? null : storable(received.key),
    createdAtMs: createdAtMs !== null && createdAtMs >= dateMsMin && createdAtMs <= dateMsMax ? createdAtMs : null,
    sequence: sequence !== null && sequence >= 0n && sequence <= int8Max ? sequence : null,
  };
  return { message, id: message.id, hasUsableId, fingerprint, lane: laneOf(message) };
}

/** The message that a dead letter is a copy of. */
export function arrivalOfLetter(letter: DeadLetter): Arrival {
  const payload = typeof letter.payload === "string" ? Buffer.from(letter.payload, "utf8") : letter.payload;
  const stored = letter.headers === null ? {} : (JSON.parse(letter.headers) as Readonly<Record<string, string>>);
  const { [sequenceHeader]: sequence = null, ...headers } = stored;
  const message: ReceivedMessage = {
    id: letter.messageId,
    type: letter.type,
    topic: letter.topic === "" ? null : letter.topic,
    key: letter.key,
    headers: new Map(Object.entries(headers)),
    payload: payload === null ? null : new Uint8Array(payload),
    sequence: sequence === null ? null : BigInt(sequence),
    createdAtMs: letter.createdAtMs,
  };
  const fingerprint = letter.fingerprint ?? fingerprintOf(message.type, message.payload);
  return { message, id: message.id, hasUsableId: true, fingerprint, lane: laneOf(message) };
}

/** Where a copy keeps its message's position in the producer's ledger. */
const sequenceHeader = "waybill-sequence";

/**
 * The copy that is kept of a message that is given up for `reason`, or held (null).
 *
 * Its place is 0, so that rows of a lane keep the order in which they were written, which is that of their arrival: a lane may be fed by
 * several ledgers, or by one that was restored, and their positions do not compare. The position travels in a header instead.
 */
export function letterOf({ message, fingerprint }: Arrival, reason: string | null, attempts: number): NewDeadLetter {
  const headers = new Map(message.headers);
  if (message.sequence === null) headers.delete(sequenceHeader);
  else headers.set(sequenceHeader, String(message.sequence));
  return {
    // An id that is used twice has two contents: the second gets a place of its own, made of its content, so that it is kept beside the first
    // and found again.
    sequence: reason === reasons.sameIdOtherContent ? -BigInt(`0x${fingerprint.slice(0, 15)}`) - 1n : 0n,
    messageId: message.id,
    type: message.type,
    topic: message.topic ?? "",
    key: message.key,
    headers: JSON.stringify(Object.fromEntries(headers)),
    payload: textOrBytes(message.payload),
    createdAtMs: message.createdAtMs,
    reason,
    fingerprint,
    attempts,
    mayBeStored: false,
  };
}

function laneOf({ topic, key }: ReceivedMessage): Lane | null {
  return key === null ? null : { topic: topic ?? "", key };
}

/** Text columns refuse U+0000, and a lone surrogate has no UTF-8. */
function storable(text: string): string {
  const wellFormed = (text as string & { toWellFormed(): string }).toWellFormed();
  return wellFormed.includes("\u0000") ? wellFormed.replaceAll("\u0000", "\ufffd") : wellFormed;
}

/** Text where it is text, for operators to read; the bytes that come back are the same either way. */
function textOrBytes(payload: Uint8Array | null): string | Uint8Array | null {
  if (payload === null || payload.includes(0)) return payload;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    return payload; // Not UTF-8: bytes it is.
  }
}
