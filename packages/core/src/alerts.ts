/** Alerts: what a human should look at, told once an hour of each kind and subject. */
import type { Clock } from "./clock.ts";
import { tell } from "./listener.ts";

/** What a human should look at. `subject` is a name or an id, `detail` a sentence of names and numbers; neither holds a payload, a key or a secret. */
export interface Alert<Kind extends string = string> {
  readonly kind: Kind;
  readonly subject: string;
  readonly detail: string;
}

export type OnAlert<Kind extends string = string> = (alert: Alert<Kind>) => void;

/** Tells of each kind and subject once an hour. */
export interface Alerts<Kind extends string = string> {
  raise(alert: Alert<Kind>): void;
}

const silenceMs = 3_600_000;
/** Subjects remembered; beyond, the oldest may be told of again. */
const subjectsMax = 10_000;

export function createAlerts<Kind extends string>(clock: Clock, onAlert: OnAlert<Kind> | undefined): Alerts<Kind> {
  const toldAtMs = new Map<string, number>();
  return {
    raise(alert) {
      const what = `${alert.kind}/${alert.subject}`;
      const nowMs = clock.monotonicMs();
      const lastMs = toldAtMs.get(what);
      if (lastMs !== undefined && nowMs - lastMs < silenceMs) return;
      toldAtMs.delete(what);
      toldAtMs.set(what, nowMs);
      if (toldAtMs.size > subjectsMax) toldAtMs.delete(toldAtMs.keys().next().value as string);
      tell(onAlert, alert);
    },
  };
}
