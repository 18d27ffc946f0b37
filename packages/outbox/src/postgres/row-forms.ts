/**
 * The two forms of a row from PostgreSQL; which columns each needs is said in `statements/row-columns.ts`. In binary form the server makes no text of
 * numbers, times, uuids and bytes, which is a third of what a read costs it.
 */
import type { RowFields } from "@waybill/sql";
import { columns, type RowForm, textForm } from "../ledger-row.ts";

/** As text; bytes in hex. */
export const hexForm: RowForm = {
  ...textForm,
  payloadBytes: (fields) => {
    const hex = fields.text(columns.payloadBytes);
    return hex === null ? null : Buffer.from(hex, "hex");
  },
};

/** bigint, uuid, timestamptz, bytea and integer as the server sends them in binary. */
export const binaryForm: RowForm = {
  id: (fields) => bigintAt(fields.bytes, placeOf(fields, columns.id, 8)),
  messageId: (fields) => uuidAt(fields.bytes, placeOf(fields, columns.messageId, 16)),
  createdAtMs: (fields) => {
    const at = placeOf(fields, columns.createdAt, 8);
    const sinceMs = Math.round(doubleAt(fields.bytes, at) / 1_000);
    // Infinity is the largest and the smallest number of all.
    return Math.min(Math.max(epochMs + sinceMs, firstMs), lastMs);
  },
  payloadBytes: (fields) => fields.copy(columns.payloadBytes),
  leftBytes: (fields) => fields.bytes.readInt32BE(placeOf(fields, columns.leftBytes, 4)),
};

/** Times count microseconds from 2000 on. */
const epochMs = Date.UTC(2000, 0, 1);
/** The years 0 to 9999, those of CloudEvents. */
const firstMs = -62_167_219_200_000;
const lastMs = 253_402_300_799_999;

/** Where a column begins that has so many bytes. A length that is another one is a type, or a form, that was not asked for. */
function placeOf(fields: RowFields, place: number, bytes: number): number {
  const start = fields.starts[place] as number;
  if (fields.ends[place] !== start + bytes) throw new RangeError(`Column ${place} of a row of the ledger has no ${bytes} bytes.`);
  return start;
}

/** Exact up to 2^53. */
function doubleAt(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4);
}

function bigintAt(bytes: Buffer, at: number): bigint {
  const high = bytes.readInt32BE(at);
  // Of two halves a bigint is made at several times the cost.
  return high >= 0 && high < 0x20_0000 ? BigInt(doubleAt(bytes, at)) : bytes.readBigInt64BE(at);
}

const digits = Buffer.from("0123456789abcdef");
const highDigits = Uint8Array.from({ length: 256 }, (_, byte) => digits[byte >> 4] as number);
const lowDigits = Uint8Array.from({ length: 256 }, (_, byte) => digits[byte & 15] as number);
/** Where the digits of each byte go between the hyphens. */
const digitPlaces = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const uuid = Buffer.from("00000000-0000-0000-0000-000000000000");

/** Written into one text and copied out of it at once: joining pieces of text takes twice as long. */
function uuidAt(bytes: Buffer, at: number): string {
  for (let place = 0; place < 16; place += 1) {
    const byte = bytes[at + place] as number;
    const digit = digitPlaces[place] as number;
    uuid[digit] = highDigits[byte] as number;
    uuid[digit + 1] = lowDigits[byte] as number;
  }
  return uuid.toString("latin1");
}
