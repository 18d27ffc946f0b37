/**
 * Rows from mysql2 without mysql2's rows: its connection, protocol and errors, but a `RowReader` of ours for each row packet.
 *
 *     query ─▶ driver: columns ─▶ `fieldsEOF` asks the command for `row` ─▶ ours: row packet ─▶ reader ─▶ … ─▶ EOF: the driver's `row` again
 *
 * The driver's command calls its own method `row` with each packet of a row; ours stands in its place on that one command. Should another version
 * of the driver not ask for it, or hand over something else than such a packet, its own rows come with the answer – as bytes, since every
 * statement asks for that – and the reader is called with those: slower, and the same. Nothing is changed but the one command.
 */
import { RowFields, type RowReader } from "../row-fields.ts";
import type { DriverColumn, DriverResult } from "./driver.ts";

/** For rows as the driver makes them when it must: each column as its bytes. */
export const rawBytes = (column: DriverColumn): Uint8Array | null => column.buffer();

/** What we take hold of in the driver. */
interface RowCommand {
  row?: (packet: RowPacket, connection: unknown) => unknown;
}

interface RowPacket {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
}

export interface LeanRows<T> {
  /** Our rows, once the driver has answered with `result`. @throws what the reader threw */
  rows(result: DriverResult): readonly T[];
}

export function readLean<T>(command: unknown, read: RowReader<T>): LeanRows<T> {
  const fields = new RowFields();
  const rows: T[] = [];
  let failure: { readonly error: unknown } | null = null;

  const take = (): void => {
    if (failure !== null) return;
    try {
      rows.push(read(fields));
    } catch (error) {
      // The answer is read to its end, so that the connection stays usable.
      failure = { error };
    }
  };

  const theirs = (command as RowCommand | undefined)?.row;
  if (typeof theirs === "function") {
    const ours = function (this: RowCommand, packet: RowPacket, connection: unknown): unknown {
      if (!isRow(packet) || !splitRow(packet, fields)) return theirs.call(this, packet, connection);
      take();
      return ours;
    };
    (command as RowCommand).row = ours;
  }

  return {
    rows(result) {
      for (const row of Array.isArray(result) ? (result as readonly (readonly (Uint8Array | null)[])[]) : []) {
        fields.fill(row);
        take();
      }
      if (failure !== null) throw failure.error;
      return rows;
    },
  };
}

/** An EOF packet begins with 0xfe and is shorter than nine bytes; a column that begins so has eight bytes of length behind it. */
function isRow({ buffer, offset, end }: RowPacket): boolean {
  return Buffer.isBuffer(buffer) && end <= buffer.length && offset < end && !(buffer[offset] === 0xfe && end - offset < 9);
}

/**
 * Where the columns of a row lie: each is its length and its bytes. False if the packet is not made of such, to its last byte.
 *
 * A length is one byte up to 250; 251 is null; 252, 253 and 254 have two, three and eight bytes of length behind them, the lowest first.
 */
function splitRow({ buffer, offset, end }: RowPacket, fields: RowFields): boolean {
  const { starts, ends } = fields;
  let at = offset;
  let column = 0;
  while (at < end) {
    let length = buffer[at] as number;
    at += 1;
    if (length === 251) {
      starts[column] = at;
      ends[column] = -1;
      column += 1;
      continue;
    }
    if (length > 251) {
      const lengthBytes = length === 252 ? 2 : length === 253 ? 3 : 8;
      if (length === 255 || at + lengthBytes > end) return false;
      // Six bytes of the eight hold more than any packet.
      length = buffer.readUIntLE(at, Math.min(6, lengthBytes));
      at += lengthBytes;
    }
    starts[column] = at;
    at += length;
    ends[column] = at;
    column += 1;
  }
  fields.bytes = buffer;
  return at === end;
}
