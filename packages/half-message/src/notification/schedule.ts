/**
 * When a notification is tried, and what counts as success. Pure.
 *
 *     decided ──delay 0──▶ attempt 1 ──failed──▶ delay 1 ──▶ attempt 2 … ──▶ the last delay ──▶ the last attempt ──failed──▶ dead, openly
 *                             └── success: done                  └── 410: dead at once, and the receiver disabled
 *
 * Best effort with an end: so many timed tries, then somebody is told. A receiver that says when to come again is heard, and its attempt is not counted.
 */
import type { Random } from "@waybill/core";

/** Delays before the first, second, … attempt, in milliseconds: each from the one before, the first from the decision. */
export type Delays = readonly number[];

export type PresetName = "doubling" | "standard-webhooks" | "svix" | "wechat-pay" | "alipay";

/** What makes an answer a success. All of what is given must hold. */
export interface SuccessRule {
  readonly status: readonly ("2xx" | number)[];
  readonly bodyEquals?: string;
  readonly jsonField?: { readonly name: string; readonly equals: string | number | boolean };
}

const s = 1_000;
const m = 60 * s;
const h = 60 * m;

/** As these services document their own. */
export const presets: Readonly<Record<PresetName, { readonly delays: Delays; readonly success: SuccessRule }>> = {
  doubling: { delays: [0, s, 2 * s, 4 * s, 8 * s, 16 * s], success: { status: ["2xx"] } },
  "standard-webhooks": { delays: [0, 5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h], success: { status: ["2xx"] } },
  svix: { delays: [0, 5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 10 * h], success: { status: ["2xx"] } },
  "wechat-pay": {
    delays: [0, 15 * s, 15 * s, 30 * s, 3 * m, 10 * m, 20 * m, 30 * m, 30 * m, 30 * m, h, 3 * h, 3 * h, 3 * h, 6 * h, 6 * h],
    success: { status: [200, 204] },
  },
  alipay: { delays: [0, 0, 0, 4 * m, 10 * m, 10 * m, h, 2 * h, 6 * h, 15 * h], success: { status: [200], bodyEquals: "success" } },
};

export function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name);
}

/** From here on delays are ±10 %. */
const jitteredFromMs = 5 * s;
const jitter = 0.1;

/** What a call came to. */
export type NotificationAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly body: Uint8Array; readonly retryAfterMs: number | null }
  | { readonly kind: "notSent" | "unknown"; readonly reason: string };

export type NotificationVerdict =
  | { readonly kind: "acked" }
  | { readonly kind: "dead"; readonly reason: "schedule_exhausted" | "gone" }
  | { readonly kind: "again"; readonly afterMs: number; readonly isCharged: boolean };

/** After attempt `attempt`, counted from 1. */
export function afterNotification(
  answer: NotificationAnswer,
  { attempt, delays, success }: { readonly attempt: number; readonly delays: Delays; readonly success: SuccessRule },
  random: Random,
): NotificationVerdict {
  if (answer.kind === "answered" && isSuccess(answer, success)) return { kind: "acked" };
  if (answer.kind === "answered" && answer.status === 410) return { kind: "dead", reason: "gone" };
  const delayMs = delays[attempt];
  const afterMs = delayMs === undefined ? null : jittered(delayMs, random);
  if (answer.kind === "answered" && answer.retryAfterMs !== null)
    return { kind: "again", afterMs: Math.max(afterMs ?? 0, answer.retryAfterMs), isCharged: false };
  return afterMs === null ? { kind: "dead", reason: "schedule_exhausted" } : { kind: "again", afterMs, isCharged: true };
}

function jittered(delayMs: number, random: Random): number {
  return delayMs < jitteredFromMs ? delayMs : Math.round(delayMs * (1 - jitter + 2 * jitter * random.fraction()));
}

function isSuccess({ status, body }: { readonly status: number; readonly body: Uint8Array }, rule: SuccessRule): boolean {
  if (!rule.status.some((one) => (one === "2xx" ? status >= 200 && status <= 299 : status === one))) return false;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  if (rule.bodyEquals !== undefined && text !== rule.bodyEquals) return false;
  return rule.jsonField === undefined || hasField(text, rule.jsonField);
}

function hasField(text: string, { name, equals }: { readonly name: string; readonly equals: unknown }): boolean {
  try {
    const parsed: unknown = JSON.parse(text);
    return (
      typeof parsed === "object" && parsed !== null && Object.hasOwn(parsed, name) && (parsed as Record<string, unknown>)[name] === equals
    );
  } catch {
    return false;
  }
}

/** For how long a receiver is left alone after `failures` in a row; 0: it is not. */
export function breakerMs(
  failures: number,
  { failuresMax, firstMs, maxMs }: { failuresMax: number; firstMs: number; maxMs: number },
): number {
  return failures < failuresMax ? 0 : Math.min(maxMs, firstMs * 2 ** Math.min(failures - failuresMax, 40));
}
