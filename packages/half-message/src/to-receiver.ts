import type { Row } from "@waybill/sql";
import type { Receiver } from "./receiver-store.ts";
import { isoOf } from "./to-standing.ts";

/** A row of either database, read. */
export function toReceiver(row: Row): Receiver {
  return {
    receiver: row.receiver as string,
    url: row.url as string,
    secret: JSON.parse(row.secret as string) as Receiver["secret"],
    schedule: JSON.parse(row.schedule as string) as Receiver["schedule"],
    success: JSON.parse(row.success as string) as Receiver["success"],
    state: row.state === "disabled" ? "disabled" : "active",
    disabledReason: row.disabled_reason as string | null,
    failingSince: row.failing_since_ms === null ? null : isoOf(Number(row.failing_since_ms)),
    failingForMs: row.failing_for_ms === null ? null : Number(row.failing_for_ms),
    version: Number(row.version),
    updatedAt: isoOf(Number(row.updated_at_ms)),
    updatedBy: row.updated_by as string,
    nowMs: Number(row.now_ms),
  };
}
