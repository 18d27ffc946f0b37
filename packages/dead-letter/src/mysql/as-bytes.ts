/**
 * Text as its bytes, for columns that hold bytes. With text the server would compare the same, but no longer see that a column has one
 * value only: it sorts what lies in order, and checks each row again.
 */
export function asBytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
