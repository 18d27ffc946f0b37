/** Rows as both databases answer them, read. 64-bit numbers come as text; the columns have the same names in both. */
import type { Row } from "@waybill/sql";
import type { HalfMessageState, Standing } from "./decision.ts";
import type { RoutedMessage } from "./delivery-store.ts";
import type { ClaimedCheck, LogEntry } from "./store.ts";
import type { DecidedRows } from "./table.ts";

export function toStanding(row: Row): Standing {
  return {
    producer: row.producer as string,
    id: row.id as string,
    state: row.state as HalfMessageState,
    version: Number(row.version),
    fingerprint: textOf(row.fingerprint)?.toLowerCase() ?? null,
    messageCount: Number(row.message_count),
    prepareToken: String(row.prepare_token),
    barrier: textOf(row.barrier),
    orderKey: textOf(row.order_key),
    traceparent: textOf(row.traceparent),
    nowMs: Number(row.now_ms),
    preparedAtMs: Number(row.prepared_at_ms),
    checkNotBeforeMs: numberOf(row.check_not_before_ms),
    suspendAtMs: numberOf(row.suspend_at_ms),
    checkAtMs: numberOf(row.check_at_ms),
    checkToken: textOf(row.check_token),
    checksAnswered: Number(row.checks_answered),
    checksUnanswered: Number(row.checks_unanswered),
    unansweredRun: Number(row.unanswered_run),
    notFoundSinceMs: numberOf(row.not_found_since_ms),
    lastCheck: textOf(row.last_check),
    lastCheckAtMs: numberOf(row.last_check_at_ms),
    decidedAtMs: numberOf(row.decided_at_ms),
    decidedBy: textOf(row.decided_by),
  };
}

export function toRouted(row: Row): RoutedMessage {
  return {
    producer: row.producer as string,
    id: row.id as string,
    ordinal: Number(row.ordinal),
    messageId: row.message_id as string,
    key: textOf(row.key),
    businessKey: textOf(row.business_key),
    delayMs: Number(row.delay_ms),
    destinations: JSON.parse(row.destinations as string) as readonly string[],
  };
}

/** Rows of what was decided: each once for each of its messages that go out, or once without one. */
export function toDecidedRows(rows: readonly Row[]): DecidedRows {
  const decided = new Map(rows.map((row) => [`${row.producer as string}/${row.id as string}`, row]));
  return {
    decided: [...decided.values()].map((row) => {
      return { producer: row.producer as string, id: row.id as string, decidedAtMs: Number(row.decided_at_ms) };
    }),
    messages: rows.filter(({ ordinal }) => ordinal !== null).map(toRouted),
  };
}

export function toLogEntry(row: Row): LogEntry {
  return {
    at: isoOf(Number(row.at_ms)),
    event: row.event as string,
    from: textOf(row.from_state),
    to: textOf(row.to_state),
    actor: row.actor as string,
    reason: textOf(row.reason),
  };
}

export function toClaimed(row: Row, token: string): ClaimedCheck {
  return {
    id: row.id as string,
    barrier: textOf(row.barrier),
    checkNumber: Number(row.check_number),
    token,
    ageMs: Math.max(0, Math.floor(Number(row.age_ms))),
    traceparent: textOf(row.traceparent),
  };
}

/** RFC 3339 in UTC. */
export function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : String(value as number);
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
