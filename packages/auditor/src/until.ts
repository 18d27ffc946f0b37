/** Looks again and again until `isTrue` or the deadline passes; answers which. */
export async function until(isTrue: () => boolean | Promise<boolean>, deadlineMs: number, intervalMs = 20): Promise<boolean> {
  const endsAt = performance.now() + deadlineMs;
  for (;;) {
    if (await isTrue()) return true;
    if (performance.now() >= endsAt) return false;
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
