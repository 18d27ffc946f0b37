/**
 * Tells a listener of ours something. A throw or rejection of the listener ends here: it cannot break the loop it listens to, and there is nobody to
 * report it to, for reporting is what failed.
 */
export function tell<Told>(listener: ((told: Told) => unknown) | undefined, told: Told): void {
  try {
    const returned = listener?.(told);
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // The listener's own fault.
  }
}
