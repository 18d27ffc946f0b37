/**
 * Makes rows of the columns that `statements/row-columns.ts` of each dialect selects. This is the relay's inner loop, so a row is made right from
 * its bytes: every object is born with the same fields in the same order; nothing but id, time and size is parsed; a payload stays the bytes
 * that it is; and what most rows share with the one before – type, topic, headers – is the same string again.
 */
import type { RowFields, RowReader } from "@waybill/sql";
import type { LedgerRow } from "./ledger.ts";

/** The places of the columns. */
export const columns = {
  id: 0,
  messageId: 1,
  type: 2,
  topic: 3,
  key: 4,
  headers: 5,
  createdAt: 6,
  payload: 7,
  payloadBytes: 8,
  leftBytes: 9,
} as const;

/** How a statement brings the columns that are not text. */
export interface RowForm {
  id(fields: RowFields): bigint;
  messageId(fields: RowFields): string;
  createdAtMs(fields: RowFields): number;
  /** Null for null. */
  payloadBytes(fields: RowFields): Uint8Array | null;
  /** Called unless it is null. */
  leftBytes(fields: RowFields): number;
}

/** Numbers and ids as text, binary as it is. */
export const textForm: RowForm = {
  id: (fields) => fields.bigint(columns.id),
  messageId: (fields) => fields.ascii(columns.messageId),
  createdAtMs: (fields) => fields.integer(columns.createdAt),
  payloadBytes: (fields) => fields.copy(columns.payloadBytes),
  leftBytes: (fields) => fields.integer(columns.leftBytes),
};

/** A reader for one ledger, to be used for all of its statements: it remembers texts. */
export function ledgerRowReader(form: RowForm): RowReader<LedgerRow> {
  const types = rememberTexts();
  const topics = rememberTexts();
  const headers = rememberTexts();
  return (fields) => {
    const isText = !fields.isNull(columns.payload);
    return {
      id: form.id(fields),
      messageId: form.messageId(fields),
      type: types(fields, columns.type) as string,
      topic: topics(fields, columns.topic) as string,
      key: fields.text(columns.key),
      headers: headers(fields, columns.headers),
      payload: isText ? fields.copy(columns.payload) : form.payloadBytes(fields),
      isText,
      leftBytes: fields.isNull(columns.leftBytes) ? null : form.leftBytes(fields),
      createdAtMs: form.createdAtMs(fields),
    };
  };
}

/** Longer texts are not remembered: comparing them costs what making them does. */
const rememberedBytesMax = 256;
/** A power of two. */
const slots = 64;

/** Reads a column whose values repeat: the same bytes are answered with the same string, while no other has taken its slot. */
function rememberTexts(): (fields: RowFields, column: number) => string | null {
  const known = Array.from({ length: slots }, (): { readonly bytes: Uint8Array; readonly text: string } | undefined => undefined);
  return (fields, column) => {
    const start = fields.starts[column] as number;
    const end = fields.ends[column] as number;
    const length = end - start;
    if (end < 0 || length === 0 || length > rememberedBytesMax) return fields.text(column);
    const { bytes } = fields;
    const slot = (length * 31 + (bytes[end - 1] as number) * 7 + (bytes[start + (length >> 1)] as number)) & (slots - 1);
    const before = known[slot];
    if (before !== undefined && isSame(before.bytes, bytes, start, length)) return before.text;
    const text = fields.text(column) as string;
    known[slot] = { bytes: fields.copy(column) as Uint8Array, text };
    return text;
  };
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (known.length !== length) return false;
  for (let place = 0; place < length; place += 1) if (known[place] !== bytes[start + place]) return false;
  return true;
}

/** The payload as it is stored wherever the row is copied to: text as text. */
export function storedPayload({ payload, isText }: LedgerRow): string | Uint8Array | null {
  if (payload === null || !isText) return payload;
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8");
}
