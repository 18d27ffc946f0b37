import { systemClock, type Transport, withDeadline } from "@waybill/core";

/** What a transport of somebody's may take beyond the deadline it was told. */
const graceMs = 1_000;

/** Closes what was opened, within `deadlineMs` and a second. Never rejects; false: it failed, or is left to itself. */
export async function closeTransport(transport: Transport | undefined, deadlineMs: number): Promise<boolean> {
  try {
    const closed = await withDeadline(systemClock, deadlineMs + graceMs, Promise.resolve(transport?.close({ deadlineMs })));
    return closed.kind === "settled";
  } catch {
    return false; // a module's own; what it was given has been settled
  }
}
