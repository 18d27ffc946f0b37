/** Facts about strings that decide whether a byte sequence can carry them unchanged. */

/** True if every surrogate is half of a pair: only then does UTF-8 give back the string that went in. */
export function isWellFormed(text: string): boolean {
  // String.prototype.isWellFormed exists from Node 20 on, yet is missing from the es2023 library.
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Length in UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

const controlCharacter = /\p{Cc}/u;

/** True if the text holds a control character (U+0000–U+001F, U+007F–U+009F), which breaks lines, headers and logs. */
export function hasControlCharacter(text: string): boolean {
  return controlCharacter.test(text);
}
