/**
 * What an inbox does with a message, as pure functions: what is known goes in, what to do comes out.
 */
import { backoffMs, isWaybillError, type Random } from "@waybill/core";
import type { Attempts, Claimed } from "./inbox-store.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** Reasons of the inbox's own. A handler that rejects gives its own; `attemptsExhausted` carries the last code behind a colon. */
export const reasons = {
  unknownType: "unknownType",
  sameIdOtherContent: "sameIdOtherContent",
  olderThanRetention: "olderThanRetention",
  poison: "poison",
  idInvalid: "messageIdInvalid",
  payloadInvalid: "payloadInvalid",
  /** Its version, or the entity that it tells of, is none. */
  versionInvalid: "versionInvalid",
  /** Its type rejects what tells of no newer version. */
  stale: "stale",
  attemptsExhausted: "attemptsExhausted",
  /** The broker would have deleted it. */
  deliveryLimit: "deliveryLimit",
} as const;

/** Whether a repeat of a delivery is possible, so that the start of its attempt is counted. Counting costs a commit; steady state has none. */
export function isRepeatPossible(known: {
  /** As the source says; null: it cannot tell. */
  readonly redelivered: boolean | null;
  /** How many deliveries came since the start, and how many a source may hand over again after one. */
  readonly receivedBefore: number;
  readonly prefetch: number;
  /** An attempt at it failed in this process. */
  readonly hasFailed: boolean;
}): boolean {
  return known.redelivered !== false || known.receivedBefore < known.prefetch || known.hasFailed;
}

/** Starts that neither failed nor ended well: their process ended first, or their deadline passed. */
export function unfinished({ started, failed }: Attempts): number {
  return Math.max(0, started - failed);
}

export type Action =
  | { readonly kind: "run" }
  /** Nothing is to be done; the delivery is settled. */
  | { readonly kind: "settle"; readonly as: "duplicate" | "deadLettered" | "ignored" }
  /** It waits behind a dead letter of its lane. */
  | { readonly kind: "hold" }
  /** `isClaimed`: its row is inserted already and must go. */
  | { readonly kind: "putAside"; readonly reason: string; readonly isClaimed: boolean };

/** What to do with a message, given what its claim found. */
export function decide(
  claimed: Claimed,
  message: {
    readonly isTypeKnown: boolean;
    readonly isPoison: boolean;
    readonly hasUsableId: boolean;
    /** Its broker does not deliver it once more. */
    readonly isLastChance: boolean;
  },
): Action {
  switch (claimed.kind) {
    case "handled":
      if (claimed.isSameContent) return { kind: "settle", as: "duplicate" };
      return { kind: "putAside", reason: reasons.sameIdOtherContent, isClaimed: false };
    case "onFile":
      if (claimed.isSameContent) return { kind: "settle", as: "deadLettered" };
      return { kind: "putAside", reason: reasons.sameIdOtherContent, isClaimed: false };
    case "mustWait":
      return { kind: "hold" };
    case "tooOld":
      return { kind: "putAside", reason: reasons.olderThanRetention, isClaimed: false };
    case "claimed":
      if (!message.hasUsableId) return { kind: "putAside", reason: reasons.idInvalid, isClaimed: true };
      if (message.isPoison) return { kind: "putAside", reason: reasons.poison, isClaimed: true };
      if (!message.isTypeKnown) return { kind: "putAside", reason: reasons.unknownType, isClaimed: true };
      if (message.isLastChance) return { kind: "putAside", reason: reasons.deliveryLimit, isClaimed: true };
      return { kind: "run" };
  }
}

/** How far the unit had come when it ended badly. `confirming`: the message was handled before, and is confirmed once more. */
export type Phase = "before" | "handling" | "handled" | "confirming";

export type FailureKind =
  /** The message itself is refused, for this reason. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** Nobody's fault: no attempt is used up. */
  | { readonly kind: "disturbed" }
  /** We stopped it: no attempt is used up, and a counted start is taken back. */
  | { readonly kind: "stopped" }
  /** The attempt counts; `isFailed` false: as started only, for it never ended. `afterMs`: when the handler wants it again, if it says so. */
  | { readonly kind: "attempt"; readonly isFailed: boolean; readonly afterMs?: number };

/** What the failure of a unit says about its message. */
export function judgeFailure(
  error: Error,
  at: { readonly phase: Phase; readonly isDeadlinePassed: boolean; readonly isStopped: boolean },
): FailureKind {
  if (isWaybillError(error, "WAYBILL_MESSAGE_REJECTED")) return { kind: "rejected", reason: error.facts.reason };
  if (at.isStopped) return { kind: "stopped" };
  if (at.isDeadlinePassed) return { kind: "attempt", isFailed: false };
  if (isWaybillError(error, "WAYBILL_RETRY_AFTER")) return { kind: "attempt", isFailed: true, afterMs: error.facts.afterMs };
  if (at.phase === "before" || isLockConflict(error) || isUnitOver(error)) return { kind: "disturbed" };
  return { kind: "attempt", isFailed: true };
}

/** Serialization failure or deadlock (on MySQL also 1205, a wait for a lock that ran out), and the unit was repeated as often as it may be. */
function isLockConflict(error: Error): boolean {
  if (!isWaybillError(error, "WAYBILL_DATABASE")) return false;
  const { sqlState, errno } = error.facts;
  return sqlState === "40001" || sqlState === "40P01" || errno === 1205;
}

/** The unit's own time is over, and that of the attempt is not: what came before the handler took too long. */
function isUnitOver(error: Error): boolean {
  return isWaybillError(error, "WAYBILL_DEADLINE") && (error.facts.operation === "inbox" || error.facts.operation === "inbox batch");
}

export type AfterAttempt = { readonly kind: "again"; readonly afterMs: number } | { readonly kind: "putAside"; readonly reason: string };

/** What follows an attempt that counted. `code` names its failure; `wantedMs`: the wait that its handler asked for. */
export function decideAfterAttempt(
  attempts: Attempts,
  code: string,
  policy: RetryPolicy & { readonly poisonAttempts: number; readonly random: Random },
  wantedMs?: number,
): AfterAttempt {
  if (unfinished(attempts) >= policy.poisonAttempts) return { kind: "putAside", reason: reasons.poison };
  if (policy.attemptsMax !== null && attempts.started >= policy.attemptsMax)
    return { kind: "putAside", reason: `${reasons.attemptsExhausted}:${code}` };
  return { kind: "again", afterMs: wantedMs ?? backoffMs(policy, Math.max(1, attempts.started), policy.random) };
}

/** A short, safe name of an error: a code where it has one, never its message, which may quote a payload. */
export function codeOf(error: unknown): string {
  if (isWaybillError(error, "WAYBILL_DATABASE")) return databaseCode(error.facts) ?? error.code;
  if (!(error instanceof Error)) return "UNKNOWN";
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && /^[A-Za-z0-9_.-]{1,64}$/.test(code)) return code;
  return /^[A-Za-z0-9_.-]{1,64}$/.test(error.name) ? error.name : "UNKNOWN";
}

/** MySQL's own number says more than its SQLSTATE, which is HY000 for most errors. */
function databaseCode({ sqlState, errno }: { readonly sqlState: string | null; readonly errno: number | null }): string | null {
  if (errno !== null) return `MYSQL_${errno}`;
  return sqlState === null ? null : `SQLSTATE_${sqlState}`;
}
