import { closeSync, createReadStream, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { AuditInputError } from "./audit-input-error.ts";

/**
 * Files of one JSON object per line, for writers that are killed at any instruction.
 *
 * An entry counts once its bytes are on disk; a torn one can only be the last, because each entry is one write and the next
 * writer of the file mends its end before it appends. A prefix of an object is never an object, so torn is easily told.
 * One process writes a file at a time.
 */
export interface JsonLines<Entry extends object> {
  /** Returns when the entry is on disk. bigints are written as decimal strings. */
  write(entry: Entry): void;
  /** A second close does nothing. */
  close(): void;
}

const newline = 0x0a;

/** Opens `file` for appending, and makes it if it is not there. What a killed writer left torn at its end is cut off. */
export function createJsonLines<Entry extends object>(file: string): JsonLines<Entry> {
  const descriptor = openSync(file, "a+");
  mendEnd(descriptor);
  let isOpen = true;
  return {
    write(entry) {
      const line = Buffer.from(`${JSON.stringify(entry, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`);
      for (let done = 0; done < line.length; ) done += writeSync(descriptor, line, done);
      fsyncSync(descriptor);
    },
    close() {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

/** Reads the entries in file order. A torn last line is passed over; a line in the middle that is no object is an `AuditInputError`. */
export async function* readJsonLines(file: string): AsyncGenerator<{ readonly entry: Record<string, unknown>; readonly where: string }> {
  let line = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let to = bytes.indexOf(newline); to >= 0; to = bytes.indexOf(newline, from)) {
      line += 1;
      const where = `${basename(file)}:${line}`;
      const entry = objectIn(bytes.subarray(from, to));
      if (entry === undefined) throw new AuditInputError(where, "not a JSON object; only the last line may be torn");
      yield { entry, where };
      from = to + 1;
    }
    rest = bytes.subarray(from);
  }
  const entry = objectIn(rest);
  if (entry !== undefined) yield { entry, where: `${basename(file)}:${line + 1}` };
}

function objectIn(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // the caller decides whether this place may be torn
  }
}

/** An entry whose newline is missing but that is whole gets its newline; anything else behind the last newline goes. */
function mendEnd(descriptor: number): void {
  const { size } = fstatSync(descriptor);
  const step = 64 * 1024;
  let tail: Buffer = Buffer.alloc(0);
  while (tail.length < size && !tail.includes(newline)) {
    const length = Math.min(step, size - tail.length);
    const piece = Buffer.alloc(length);
    readSync(descriptor, piece, 0, length, size - tail.length - length);
    tail = Buffer.concat([piece, tail]);
  }
  const torn = tail.subarray(tail.lastIndexOf(newline) + 1);
  if (torn.length === 0) return;
  if (objectIn(torn) === undefined) ftruncateSync(descriptor, size - torn.length);
  else writeSync(descriptor, "\n");
}
