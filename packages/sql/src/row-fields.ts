/**
 * A row as the bytes in which it came, for a reader that makes its own objects of them.
 *
 * A driver makes a string of every column and a row of them; whoever then makes a number of one, bytes of another and compares a third with that
 * of the row before has paid for strings that nobody wanted. Here the reader is called with one row after the other while the answer
 * arrives and takes what it needs. One object serves all rows: nothing of it may be kept, only what its methods answer.
 */
export class RowFields {
  /** Holds the row, and other things beside it. */
  bytes: Buffer;
  /** Per column: its first byte in `bytes`, and the one behind its last; the latter is −1 for null. */
  readonly starts: number[];
  readonly ends: number[];
  /** A copy of a stretch of `copiedFrom`, from `copiedStart` on: columns of the rows that follow lie in it, too. */
  #copied: Buffer;
  #copiedFrom: Buffer;
  #copiedStart: number;

  constructor() {
    this.bytes = Buffer.alloc(0);
    this.#copied = this.bytes;
    this.#copiedFrom = this.bytes;
    this.#copiedStart = 0;
    this.starts = [];
    this.ends = [];
  }

  isNull(column: number): boolean {
    return (this.ends[column] as number) < 0;
  }

  /** UTF-8. */
  text(column: number): string | null {
    const end = this.ends[column] as number;
    return end < 0 ? null : this.bytes.toString(undefined, this.starts[column] as number, end);
  }

  /** Text that is known to be ASCII: an id, digits. Null is empty. */
  ascii(column: number): string {
    return this.bytes.toString("latin1", this.starts[column] as number, Math.max(0, this.ends[column] as number));
  }

  /**
   * A copy. Rows come many to a packet of the network, and copying each column for itself would cost more than its bytes do: a stretch is copied
   * at once, for as many rows as lie in it. Whoever keeps one column keeps the stretch, so it is short.
   */
  copy(column: number): Uint8Array | null {
    const end = this.ends[column] as number;
    if (end < 0) return null;
    const start = this.starts[column] as number;
    const { bytes } = this;
    if (end - start > stretchBytes / 2) return Buffer.from(bytes.subarray(start, end));
    const isCopied = bytes === this.#copiedFrom && start >= this.#copiedStart && end <= this.#copiedStart + this.#copied.length;
    if (!isCopied) {
      const length = Math.min(stretchBytes, bytes.length - start);
      this.#copied = Buffer.allocUnsafeSlow(length);
      bytes.copy(this.#copied, 0, start, start + length);
      this.#copiedFrom = bytes;
      this.#copiedStart = start;
    }
    return this.#copied.subarray(start - this.#copiedStart, end - this.#copiedStart);
  }

  /** A whole number in decimal digits; NaN for null and for anything else. Exact as far as a double is. */
  integer(column: number): number {
    const { bytes } = this;
    const start = this.starts[column] as number;
    const end = this.ends[column] as number;
    const digits = bytes[start] === minus ? start + 1 : start;
    if (end <= digits || end - digits > digitsMax) return Number(this.text(column) ?? Number.NaN);
    let value = 0;
    for (let place = digits; place < end; place += 1) {
      const digit = (bytes[place] as number) - zero;
      if (digit < 0 || digit > 9) return Number.NaN;
      value = value * 10 + digit;
    }
    return digits === start ? value : -value;
  }

  /** The row that came as separate columns. */
  fill(columns: readonly (Uint8Array | null)[]): void {
    this.bytes = Buffer.concat(columns.filter((column) => column !== null));
    let end = 0;
    for (let place = 0; place < columns.length; place += 1) {
      const column = columns[place] as Uint8Array | null;
      this.starts[place] = end;
      if (column !== null) end += column.length;
      this.ends[place] = column === null ? -1 : end;
    }
  }

  /** @throws SyntaxError, RangeError unless it is a whole number in decimal digits */
  bigint(column: number): bigint {
    return (this.ends[column] as number) - (this.starts[column] as number) <= digitsMax
      ? BigInt(this.integer(column))
      : BigInt(this.ascii(column));
  }
}

/** Makes of a row what its caller wants of it. A throw fails the statement, after the rest of the answer has come. */
export type RowReader<T> = (fields: RowFields) => T;

const stretchBytes = 8_192;
const minus = 0x2d;
const zero = 0x30;
/** So many digits are exact in a double whatever they are. */
const digitsMax = 15;
