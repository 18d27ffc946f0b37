/** Why a subscription was stopped in its row until an operator decides: a word, and what was found, as `state_reason` keeps them. */

export type StopReason =
  /**
   * The ledger has handed out fewer ids than the cursor has come past: a dump was restored, or the counter was set back. `highestId` is how far
   * they had come when it was noticed; they are given again to other messages.
   */
  | { readonly code: "idsWentBack"; readonly lastId: bigint; readonly highestId: bigint }
  /** The ledger is another one under the same name: the cursor's ids mean nothing there. */
  | { readonly code: "ledgerReplaced"; readonly lastId: bigint; readonly highestId: bigint };

/** The text of `state_reason`: `idsWentBack:10:5`. */
export function stopReasonText({ code, lastId, highestId }: StopReason): string {
  return `${code}:${lastId}:${highestId}`;
}

/** What `stopReasonText` made; null for anything else, which somebody wrote by hand. */
export function parseStopReason(text: string | null): StopReason | null {
  const [, code, lastId = "", highestId = ""] = /^(idsWentBack|ledgerReplaced):(\d{1,19}):(\d{1,19})$/.exec(text ?? "") ?? [];
  if (code === undefined) return null;
  return { code: code as StopReason["code"], lastId: BigInt(lastId), highestId: BigInt(highestId) };
}
