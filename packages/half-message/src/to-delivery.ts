import type { Row } from "@waybill/sql";
import type { DeliveryView, ShownAttempt, ShownDelivery } from "./delivery-store.ts";
import { isoOf } from "./to-standing.ts";

/** A row of either database, read. */
export function toDelivery(row: Row): DeliveryView {
  return {
    deliveryId: deliveryId(String(row.seq), String(row.code)),
    messageId: row.message_id as string,
    destination: row.destination as string,
    receiver: row.receiver as string | null,
    state: row.state as DeliveryView["state"],
    attempts: Number(row.attempts),
    redeliveries: Number(row.redeliveries),
    dueAt: timeOf(row.due_at_ms),
    lastError: row.last_error as string | null,
    ackedAt: timeOf(row.acked_at_ms),
    deadReason: row.dead_reason as string | null,
  };
}

export function toShownDelivery(row: Row): ShownDelivery {
  return {
    ...toDelivery(row),
    seq: String(row.seq),
    producer: row.producer as string,
    halfMessageId: row.id as string,
    businessKey: row.business_key as string | null,
    ackMode: row.ack_mode === "explicit" ? "explicit" : "implicit",
    createdAt: isoOf(Number(row.created_at_ms)),
    lastAt: timeOf(row.last_at_ms),
    lastOutcome: row.last_outcome as string | null,
    ackedBy: row.acked_by as string | null,
    deadAt: timeOf(row.dead_at_ms),
  };
}

export function toShownAttempt(row: Row): ShownAttempt {
  return {
    attempt: Number(row.attempt),
    startedAt: isoOf(Number(row.started_at_ms)),
    tookMs: Number(row.took_ms),
    outcome: row.outcome as string,
    status: row.status === null ? null : Number(row.status),
    error: row.error as string | null,
  };
}

/** What the outside calls a delivery: its place, and a code that cannot be guessed. */
export function deliveryId(seq: string, code: string): string {
  return `${seq}-${BigInt(code).toString(16).padStart(16, "0")}`;
}

function timeOf(ms: unknown): string | null {
  return ms === null || ms === undefined ? null : isoOf(Number(ms));
}
