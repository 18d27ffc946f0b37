/**
 * Makes rows of the columns that `statements/row-columns.ts` of each dialect selects. This is the relay's inner loop, so a row is made right from
 * its bytes: every object is born with the same fields in the same order; nothing but id, time and size is parsed; a payload stays the bytes
 * that it is; and what most rows share with the one before – type, topic, headers – is the same string again.
 */
import type { RowFields, RowReader } from "@waybill/sql";
import type { LedgerRow } from "./ledger.ts";

export interface RowForm {
  /** How the statement selects what is binary. */
  readonly binary: "asHex" | "asIs";
}

/** A reader for one ledger, to be used for all of its statements: it remembers texts. */
export function ledgerRowReader({ binary }: RowForm): RowReader<LedgerRow> {
  const types = rememberTexts();
  const topics = rememberTexts();
  const headers = rememberTexts();
  return (fields) => {
    const isText = !fields.isNull(7);
    return {
      id: fields.bigint(0),
      messageId: fields.ascii(1),
      type: types(fields, 2) as string,
      topic: topics(fields, 3) as string,
      key: fields.text(4),
      headers: headers(fields, 5),
      payload: isText ? fields.copy(7) : binary === "asIs" ? fields.copy(8) : bytesOfHex(fields.text(8)),
      isText,
      leftBytes: fields.isNull(9) ? null : fields.integer(9),
      createdAtMs: fields.integer(6),
    };
  };
}

function bytesOfHex(hex: string | null): Uint8Array | null {
  return hex === null ? null : Buffer.from(hex, "hex");
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
