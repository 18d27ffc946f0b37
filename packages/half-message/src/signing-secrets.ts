import { type Clock, type Secret, signingSecret } from "@waybill/core";
import { secretReader } from "./keys.ts";
import type { SecretSource } from "./options.ts";

/**
 * Answers what to sign with as it is now: `whsec_` and base64. A file that was replaced by one that cannot be used leaves what was read before. Empty: there never
 * was one that could be used, and nothing may be sent.
 */
export function signingSecrets(source: SecretSource | undefined, clock: Clock): () => readonly Secret[] {
  const read = source === undefined ? () => null : secretReader(source, clock);
  let usable: readonly Secret[] = [];
  return () => {
    const found = read();
    if (found !== null) usable = parsed(found) ?? usable;
    return usable;
  };
}

/** null: it cannot sign. */
function parsed(found: Secret): readonly Secret[] | null {
  try {
    return [signingSecret(found.reveal())];
  } catch {
    return null;
  }
}
