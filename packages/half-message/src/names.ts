/** The grammar of names and ids. Each function answers what a text must be, or null if it is. */

const namePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const uuidV7Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Of producers, consumers, receivers, destinations and keys. */
export function nameProblem(text: string): string | null {
  return namePattern.test(text) ? null : "1 to 63 of a-z, 0-9 and -, beginning with a letter or digit";
}

/** Of half messages and messages. No dot: it separates what a signature is made of. */
export function idProblem(text: string): string | null {
  return idPattern.test(text) ? null : "1 to 64 of A-Z, a-z, 0-9, _ and -";
}

/** When an id was made by its own account; null: it is none that tells. */
export function madeAtMs(id: string): number | null {
  return uuidV7Pattern.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : null;
}
