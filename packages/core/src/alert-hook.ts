/**
 * Tells one endpoint of alerts, over HTTP, signed after Standard Webhooks.
 *
 *     alert ─▶ queue of 100 ─▶ POST ─▶ 2xx: told
 *                 │              └─ any other status, no answer ─▶ again under the same id, after backoff ─▶ `attemptsMax` times: given up
 *                 └─ full: the new one is given up
 *
 * Its body is `{"version":1,"kind","subject","detail","at"}`. Best effort, and nothing else: what is given up, or still waits at the stop, is told to
 * `onNotTold`. The calls go through the port that it is given, which has its own say about where they may go.
 */
import type { Alert } from "./alerts.ts";
import { type BackoffPolicy, backoffMs } from "./backoff.ts";
import { type Clock, wait } from "./clock.ts";
import type { HttpCaller, HttpReach } from "./http-caller.ts";
import { newMessageId } from "./message-id.ts";
import type { Random } from "./random.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { Secret } from "./secret.ts";
import { sign } from "./signature.ts";

export interface AlertHookParts {
  readonly url: string;
  /** What to sign with as it is now. Empty: nothing is sent, for nothing goes unsigned. */
  readonly secrets: () => readonly Secret[];
  readonly http: HttpCaller;
  readonly reach: HttpReach;
  /** Milliseconds for one call. Default 5 000. */
  readonly timeoutMs?: number;
  /** Calls for one alert. Default 6. */
  readonly attemptsMax?: number;
  /** Default 1 000 doubling to 60 000; `Retry-After` may ask for as much as its end. */
  readonly backoff?: BackoffPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly onTold: (alert: Alert, attempts: number) => void;
  readonly onNotTold: (alert: Alert, attempts: number, reason: string) => void;
}

export interface AlertHook {
  /** Never waits, never throws. After `run` has ended nothing is told any more: `onNotTold` hears so at once. */
  tell(alert: Alert): void;
  /** Tells what is queued, one after the other, until the signal aborts; a call that is under way then ends by its deadline. */
  run(signal: AbortSignal): Promise<void>;
}

export const alertHookDefaults = { timeoutMs: 5_000, attemptsMax: 6, backoff: { firstMs: 1_000, maxMs: 60_000 } } as const;

const queuedMax = 100;
const responseBytesMax = 65_536;
const longestWaitMs = 2 ** 31 - 1;

interface Queued {
  readonly id: string;
  readonly alert: Alert;
  readonly body: Uint8Array;
}

export function createAlertHook(parts: AlertHookParts): AlertHook {
  const { url, secrets, http, reach, timeoutMs, attemptsMax, backoff, clock, random, onTold, onNotTold } = {
    ...alertHookDefaults,
    ...parts,
  };
  const queue: Queued[] = [];
  let woken = new AbortController();
  let hasEnded = false;

  /** null: it was told. Else why not, and when the endpoint wants to hear of it again. */
  const call = async ({ id, body }: Queued): Promise<{ readonly reason: string; readonly afterMs: number | null } | null> => {
    const signing = secrets();
    if (signing.length === 0) return { reason: "noSecret", afterMs: null };
    const headers = { "content-type": "application/json", ...sign(signing, { id, timestampMs: clock.wallMs(), body }) };
    const options = { deadlineMs: timeoutMs, responseBytesMax, takesPartialBody: true, reach };
    const answer = await http.call({ method: "POST", url, headers, body }, options);
    if (answer.kind !== "answered") return { reason: answer.reason, afterMs: null };
    if (answer.status >= 200 && answer.status < 300) return null;
    return { reason: `status ${answer.status}`, afterMs: retryAfterMs(answer.headers, backoff.maxMs) };
  };

  const tellOne = async (queued: Queued, signal: AbortSignal): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      // A caller that breaks its promise and throws costs an alert, not the process. What it threw may quote anything: it is not told.
      const failed = await call(queued).catch(() => ({ reason: "callThrew", afterMs: null }));
      if (failed === null) return onTold(queued.alert, attempt);
      if (attempt >= attemptsMax || signal.aborted) return onNotTold(queued.alert, attempt, failed.reason);
      await wait(clock, Math.max(failed.afterMs ?? 0, backoffMs(backoff, attempt, random)), signal);
    }
  };

  return {
    tell(alert) {
      if (hasEnded) return onNotTold(alert, 0, "stopping");
      if (queue.length >= queuedMax) return onNotTold(alert, 0, "tooMany");
      const { kind, subject, detail } = alert;
      const at = new Date(clock.wallMs()).toISOString();
      const body = Buffer.from(JSON.stringify({ version: 1, kind, subject, detail, at }), "utf8");
      queue.push({ id: newMessageId(), alert, body });
      woken.abort();
    },
    async run(signal) {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next !== undefined) await tellOne(next, signal);
        else {
          woken = new AbortController();
          await wait(clock, longestWaitMs, AbortSignal.any([signal, woken.signal]));
        }
      }
      hasEnded = true;
      for (const { alert } of queue.splice(0)) onNotTold(alert, 0, "stopping");
    },
  };
}
