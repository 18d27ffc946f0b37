import { waybillError } from "@waybill/core";

/** We gave up waiting for the database. */
export function deadlineError(operation: string, deadlineMs: number): Error {
  return waybillError(
    "WAYBILL_DEADLINE",
    `Gave up waiting for ${operation} after ${Math.round(deadlineMs)} ms. Try again, or allow more time.`,
    { operation, deadlineMs: Math.round(deadlineMs) },
  );
}
