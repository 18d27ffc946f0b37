/**
 * Rows from pg without pg's rows: its connection, protocol and errors, but a `RowReader` of ours for each DataRow.
 *
 *     socket ─▶ ours: cut into messages ──┬─ DataRow while a reader is at work ─▶ reader
 *                                         └─ everything else, byte for byte ─▶ the driver's own listener
 *
 * What is relied on is the protocol – a byte of type, four of length – and that the driver listens to `data` of its socket, once. Where it does
 * not there is no tap, and the reader is called with what the driver makes of the row: slower, and the same. A message that the driver gets
 * is whole or in the pieces in which it came; a DataRow is collected here until it is whole.
 */
import { RowFields, type RowReader } from "../row-fields.ts";

/** The driver's socket, once it speaks the protocol: after TLS has begun. */
export interface DataStream {
  listeners(event: "data"): readonly unknown[];
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  off(event: "data", listener: (chunk: Buffer) => void): unknown;
}

export interface RowTap {
  /** From now on rows go to `read`, until `end`. What is answered gives the rows so far, or throws what the reader threw. */
  begin<T>(read: RowReader<T>): () => readonly T[];
  end(): void;
}

const dataRow = 0x44;
const headerBytes = 5;
const none: Buffer = Buffer.alloc(0);

/**
 * To be called before the first byte of the protocol has come: the driver keeps to itself what it has of a message that is not whole yet.
 * null: this driver's socket is not as expected.
 */
export function tapRows(stream: Partial<DataStream>): RowTap | null {
  if (typeof stream.listeners !== "function" || typeof stream.on !== "function" || typeof stream.off !== "function") return null;
  const [theirs, ...more] = stream.listeners("data");
  if (typeof theirs !== "function" || more.length > 0) return null;
  const hand = (chunk: Buffer): void => {
    if (chunk.length > 0) theirs.call(stream, chunk);
  };
  const fields = new RowFields();
  let take: (() => void) | null = null;
  /** A header that was cut, to be put before the next chunk. */
  let head = none;
  /** Of a message that was cut: how many of its bytes are still to come, and those of a DataRow that have come. */
  let leftBytes = 0;
  let parts: Buffer[] = [];

  const row = (bytes: Buffer, start: number): void => {
    splitRow(bytes, start, fields);
    take?.();
  };

  /** The rest of a message that was cut. Answers where the next one begins. */
  const goOn = (chunk: Buffer): number => {
    const end = Math.min(leftBytes, chunk.length);
    leftBytes -= end;
    if (parts.length === 0) hand(chunk.subarray(0, end));
    else {
      parts.push(chunk.subarray(0, end));
      if (leftBytes === 0) {
        const whole = Buffer.concat(parts);
        parts = [];
        row(whole, 0);
      }
    }
    return end;
  };

  const onData = (came: Buffer): void => {
    const chunk = head.length === 0 ? came : Buffer.concat([head, came]);
    head = none;
    let at = leftBytes > 0 ? goOn(chunk) : 0;
    /** Everything before this was handed over. */
    let handed = at;
    while (at + headerBytes <= chunk.length) {
      const next = at + 1 + chunk.readUInt32BE(at + 1);
      const isOurs = take !== null && chunk[at] === dataRow;
      if (isOurs) {
        hand(chunk.subarray(handed, at));
        handed = next;
        if (next <= chunk.length) row(chunk, at);
        else parts = [chunk.subarray(at)];
      }
      if (next > chunk.length) {
        leftBytes = next - chunk.length;
        if (!isOurs) hand(chunk.subarray(handed));
        return;
      }
      at = next;
    }
    hand(chunk.subarray(handed, at));
    head = chunk.subarray(at);
  };

  stream.on("data", onData);
  stream.off("data", theirs as (chunk: Buffer) => void);

  return {
    begin<T>(read: RowReader<T>) {
      const rows: T[] = [];
      let failure: { readonly error: unknown } | null = null;
      take = () => {
        if (failure !== null) return;
        try {
          rows.push(read(fields));
        } catch (error) {
          // The answer is read to its end, so that the connection stays usable.
          failure = { error };
        }
      };
      return () => {
        if (failure !== null) throw failure.error;
        return rows;
      };
    },
    end() {
      take = null;
    },
  };
}

/** Where the columns of a DataRow lie: their number in two bytes, then for each its length in four, −1 for null, and its bytes. */
function splitRow(bytes: Buffer, start: number, fields: RowFields): void {
  const { starts, ends } = fields;
  const columns = bytes.readInt16BE(start + headerBytes);
  let at = start + headerBytes + 2;
  for (let column = 0; column < columns; column += 1) {
    const length = bytes.readInt32BE(at);
    at += 4;
    starts[column] = at;
    if (length < 0) ends[column] = -1;
    else {
      at += length;
      ends[column] = at;
    }
  }
  fields.bytes = bytes;
}
