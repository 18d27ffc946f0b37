import type { Transport } from "@waybill/core";

/** Wrong on purpose: the promise comes from another package and nobody waits for it. `npm run lint` expects the complaint. */
export function dropsPromise(transport: Transport): void {
  transport.close({ deadlineMs: 1 });
}
