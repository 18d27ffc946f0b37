import type { NewDeadLetter } from "./dead-letters.ts";

/** About the most bytes that one insert carries. */
const insertBytesMax = 4 * 1024 * 1024;

/** Letters in their order, cut into what one insert carries: at most `rowsMax` rows, and about four megabytes or a single row. */
export function insertChunks(letters: readonly NewDeadLetter[], rowsMax: number): readonly (readonly NewDeadLetter[])[] {
  const chunks: NewDeadLetter[][] = [];
  let chunk: NewDeadLetter[] = [];
  let bytes = 0;
  for (const letter of letters) {
    const size = (letter.payload?.length ?? 0) + (letter.headers?.length ?? 0);
    if (chunk.length > 0 && (chunk.length === rowsMax || bytes + size > insertBytesMax)) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(letter);
    bytes += size;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}
