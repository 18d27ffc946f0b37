import { randomFillSync } from "node:crypto";

const bytes = new BigUint64Array(1);

/** 63 random bits as decimal text, which fits a signed 64-bit column: a fence, or a code that nobody guesses. Never 0. */
export function newToken(): string {
  randomFillSync(bytes);
  const token = (bytes[0] as bigint) >> 1n;
  return token === 0n ? newToken() : token.toString();
}
