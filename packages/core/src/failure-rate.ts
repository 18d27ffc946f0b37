/**
 * The rule of an alert: more than one in a hundred of the last thousand attempts failed. Of fewer attempts than a thousand, too, as soon as eleven
 * have failed: whatever the others come to, it is true of the thousand then. Pure.
 */
export interface FailureRate {
  /** Notes attempts of a subject – a destination, a consumer – and answers whether too many of its last thousand failed. */
  note(subject: string, failed: number, attempts: number): boolean;
  /** What the last thousand came to. */
  of(subject: string): AttemptCounts;
}

export interface AttemptCounts {
  readonly failed: number;
  /** At most a thousand. */
  readonly attempts: number;
}

const windowAttempts = 1_000;
const failedMax = windowAttempts / 100;

/** The last attempts of one subject: a ring, 1 for each that failed. */
interface Window {
  readonly ring: Uint8Array;
  next: number;
  attempts: number;
  failed: number;
}

export function failureRate(): FailureRate {
  const windows = new Map<string, Window>();
  const windowOf = (subject: string): Window => {
    const known = windows.get(subject);
    if (known !== undefined) return known;
    const made: Window = { ring: new Uint8Array(windowAttempts), next: 0, attempts: 0, failed: 0 };
    windows.set(subject, made);
    return made;
  };
  return {
    note(subject, failed, attempts) {
      const window = windowOf(subject);
      for (let index = 0; index < attempts; index += 1) {
        const hasFailed = index < failed ? 1 : 0;
        window.failed += hasFailed - (window.ring[window.next] ?? 0);
        window.ring[window.next] = hasFailed;
        window.next = (window.next + 1) % windowAttempts;
        window.attempts = Math.min(windowAttempts, window.attempts + 1);
      }
      return window.failed > failedMax;
    },
    of(subject) {
      const { failed, attempts } = windows.get(subject) ?? { failed: 0, attempts: 0 };
      return { failed, attempts };
    },
  };
}
