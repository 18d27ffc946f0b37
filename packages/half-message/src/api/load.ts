import { problem } from "./problem.ts";

/** What is under way on all ports of a service. */
export interface Load {
  isDraining: boolean;
  inFlight: number;
}

const inFlightMax = 1_000;
const preparesShare = 0.8;

/**
 * Prepares are refused first, also those of a batch: what is prepared already must still be decided when there is too much to do, and when the service ends.
 *
 * @throws ApiProblem draining, overloaded
 */
export function refuseTooMuch({ isDraining, inFlight }: Load, isPrepare: boolean): void {
  if (isDraining && isPrepare) throw problem("draining", { retryAfterMs: 1_000 });
  if (inFlight >= (isPrepare ? inFlightMax * preparesShare : inFlightMax)) throw problem("overloaded", { retryAfterMs: 1_000 });
}
