export interface WaitUntilOptions {
  /** Milliseconds until we give up. Default 30 000, far more than a loaded machine needs. */
  readonly deadlineMs?: number;
  /** What is waited for, for the error: `the standby has taken over`. */
  readonly what: string;
  /** Milliseconds between two looks. Default 10. */
  readonly intervalMs?: number;
}

/** What was waited for did not come about in time; the message says what it was, and how long. */
export class WaitGivenUp extends Error {
  override readonly name: string = "WaitGivenUp";
}

/**
 * Looks at `condition` again and again until it is neither false, null nor undefined, and answers what it was.
 *
 * Rejects at the deadline with `WaitGivenUp`, saying what was waited for and for how long; at once if `condition` throws. A condition that never
 * settles is given up at the deadline, too.
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  options: WaitUntilOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { deadlineMs = 30_000, intervalMs = 10, what } = options;
  const givenUp = new WaitGivenUp(`Waited ${deadlineMs} ms in vain until ${what}.`);
  let deadline: NodeJS.Timeout | undefined;
  let interval: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    deadline = setTimeout(() => reject(givenUp), deadlineMs);
  });
  late.catch(() => undefined); // between two looks nobody listens
  try {
    for (;;) {
      const found = await Promise.race([late, Promise.resolve(condition())]);
      if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
      const pause = new Promise<void>((resolve) => {
        interval = setTimeout(resolve, intervalMs);
      });
      await Promise.race([late, pause]);
    }
  } finally {
    clearTimeout(deadline);
    clearTimeout(interval);
  }
}
