import { isWaybillError, type Secret, signingSecret } from "@waybill/core";

/** True if each was made with `signingSecret`: any other text would sign, too, and nobody could verify it. */
export function areSigningSecrets(secrets: readonly Secret[]): boolean {
  return secrets.every((candidate) => {
    try {
      signingSecret(candidate.reveal());
      return true;
    } catch (error) {
      if (isWaybillError(error) || error instanceof TypeError) return false;
      throw error;
    }
  });
}
