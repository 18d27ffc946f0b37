/**
 * What is said in a check-back, by either side. Only an answer that is explicit and whole counts: whatever else comes – another word, a token that is not
 * the one that was asked with, an id that was not asked for – is no answer, and no answer decides anything.
 */

/** A half message whose local transaction is asked about. */
export interface Check {
  readonly id: string;
  /** The identity of the barrier that it was prepared for; null: none. */
  readonly barrier: string | null;
  /** From 1. */
  readonly checkNumber: number;
  /** How long ago it was prepared, in milliseconds. */
  readonly ageMs: number;
  readonly traceparent: string | null;
}

/** As it travels: the token is the lease under which it is asked, and comes back with the answer. */
export interface AskedCheck extends Check {
  readonly token: string;
}

export const checkDecisions = ["committed", "rolled_back", "pending", "not_found", "expired"] as const;

export type CheckDecision = (typeof checkDecisions)[number];

export interface AnsweredCheck {
  readonly id: string;
  readonly token: string;
  readonly barrier: string | null;
  readonly decision: CheckDecision;
  /** Only with `rolled_back`: the local transaction can never commit any more. */
  readonly binding?: boolean;
  readonly reason?: string;
}

export const checksMax = 100;
const reasonCharactersMax = 500;
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const tokenPattern = /^[0-9]{1,19}$/;

/** The checks of one producer, as a body. */
export function encodeChecks(producer: string, checks: readonly AskedCheck[]): string {
  const sent = checks.map(({ id, barrier, checkNumber, token, ageMs, traceparent }) => ({
    id,
    barrier,
    checkNumber,
    token,
    ageMs,
    traceparent,
  }));
  return JSON.stringify({ version: 1, producer, checks: sent });
}

/** The checks in a body; null: it is none for this producer. */
export function readChecks(text: string, producer: string): readonly AskedCheck[] | null {
  const body = objectIn(text);
  if (body === null || body["version"] !== 1 || body["producer"] !== producer) return null;
  return checksIn(body["checks"]);
}

/** A list of checks, as it stands in a body; null: it is none. */
export function checksIn(list: unknown): readonly AskedCheck[] | null {
  if (!Array.isArray(list) || list.length > checksMax) return null;
  const checks = list.map(checkIn);
  return checks.every((check) => check !== null) ? checks : null;
}

/** Answers, as a body; signed by whoever sends it. */
export function encodeAnswers(producer: string, answers: readonly AnsweredCheck[]): string {
  return JSON.stringify({ version: 1, producer, answers });
}

/**
 * The answers in a body, for those of `checks` that have one. null: the body is no answer at all. An id that is answered twice, and not twice the same, has
 * none; nor has one whose token is not the one it was asked with.
 */
export function readAnswers(text: string, producer: string, checks: readonly AskedCheck[]): ReadonlyMap<string, AnsweredCheck> | null {
  const body = objectIn(text);
  if (body === null || body["version"] !== 1 || body["producer"] !== producer || !Array.isArray(body["answers"])) return null;
  const tokens = new Map(checks.map(({ id, token }) => [id, token]));
  const answers = new Map<string, AnsweredCheck>();
  const ambiguous = new Set<string>();
  for (const one of body["answers"] as readonly unknown[]) {
    const answer = answerIn(one);
    if (answer === null || tokens.get(answer.id) !== answer.token) continue;
    const other = answers.get(answer.id);
    if (other !== undefined && contradict(other, answer)) ambiguous.add(answer.id);
    answers.set(answer.id, answer);
  }
  for (const id of ambiguous) answers.delete(id);
  return answers;
}

/** An answer, as it stands in a list; null: it is none. */
export function answerIn(value: unknown): AnsweredCheck | null {
  if (!isObject(value)) return null;
  const { id, token, barrier, decision, binding, reason } = value;
  const isWhole =
    isId(id) &&
    isToken(token) &&
    isTextOrNull(barrier) &&
    checkDecisions.includes(decision as CheckDecision) &&
    (binding === undefined || typeof binding === "boolean") &&
    (reason === undefined || reason === null || typeof reason === "string");
  if (!isWhole) return null;
  return {
    id,
    token,
    barrier,
    decision: decision as CheckDecision,
    ...(binding === undefined ? {} : { binding }),
    ...(typeof reason === "string" ? { reason: reason.slice(0, reasonCharactersMax) } : {}),
  };
}

function checkIn(value: unknown): AskedCheck | null {
  if (!isObject(value)) return null;
  const { id, barrier, checkNumber, token, ageMs, traceparent = null } = value;
  const isWhole =
    isId(id) && isToken(token) && isTextOrNull(barrier) && isCount(checkNumber) && isCount(ageMs) && isTextOrNull(traceparent);
  return isWhole ? { id, barrier, checkNumber, token, ageMs, traceparent } : null;
}

/** Whether these answer one question, and not both can be meant. Then neither is an answer, whichever comes first. */
export function contradict(one: AnsweredCheck, other: AnsweredCheck): boolean {
  if (one.id !== other.id || one.token !== other.token) return false;
  return one.decision !== other.decision || (one.binding ?? false) !== (other.binding ?? false) || one.barrier !== other.barrier;
}

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is string {
  return typeof value === "string" && idPattern.test(value);
}

function isToken(value: unknown): value is string {
  return typeof value === "string" && tokenPattern.test(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value.length <= 64);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
