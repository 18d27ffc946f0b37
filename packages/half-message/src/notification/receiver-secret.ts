/**
 * With what a receiver's notifications are signed.
 *
 * Derived by default: HKDF-SHA256 of the service's master secret, the receiver's name and a number, so that nothing has to be stored, and every receiver
 * has another one. The next number is a new secret; for a day after a rotation both sign, so that the receiver can change when it likes.
 */
import { hkdfSync } from "node:crypto";
import { type Secret, signingSecret } from "@waybill/core";
import type { Receiver } from "../receiver-store.ts";

export interface ReceiverSecretsOptions {
  /** null: there is none, and nothing can be derived. */
  readonly master: () => Secret | null;
  /** The text of a file; null: it cannot be read. */
  readonly readFile: (path: string) => Secret | null;
}

export interface ReceiverSecrets {
  /** All that sign now, the newest first; none: there is no secret to be had, and nothing may be sent. */
  of(receiver: Pick<Receiver, "receiver" | "secret" | "nowMs">): readonly Secret[];
}

export const rotationOverlapMs = 86_400_000;
const bytesOfSecret = 32;

export function receiverSecrets({ master, readFile }: ReceiverSecretsOptions): ReceiverSecrets {
  const derive = (name: string, number: number): readonly Secret[] => {
    const from = master();
    if (from === null) return [];
    const bytes = hkdfSync(
      "sha256",
      Buffer.from(from.reveal(), "utf8"),
      Buffer.alloc(0),
      `waybill/receiver/${name}/${number}`,
      bytesOfSecret,
    );
    return [signingSecret(Buffer.from(bytes).toString("base64"))];
  };
  return {
    of({ receiver, secret, nowMs }) {
      if ("file" in secret) {
        const text = readFile(secret.file)?.reveal().trim();
        return text === undefined ? [] : usable(text);
      }
      const { previous } = secret;
      const older = previous !== undefined && nowMs < previous.untilMs ? derive(receiver, previous.derived) : [];
      return [...derive(receiver, secret.derived), ...older];
    },
  };
}

function usable(text: string): readonly Secret[] {
  try {
    return [signingSecret(text)];
  } catch {
    return [];
  }
}
