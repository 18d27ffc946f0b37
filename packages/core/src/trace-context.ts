import { headersBytes } from "./headers.ts";
import { limits } from "./limits.ts";
import { hasControlCharacter, isWellFormed } from "./text.ts";

/**
 * The trace a message belongs to, carried from append to handler as W3C headers (Trace Context, Baggage). We keep what we are
 * given, sampled or not; making spans is the application's choice and library.
 */
export interface TraceContext {
  /** `00-<32 hex>-<16 hex>-<2 hex>`. */
  readonly traceparent: string;
  readonly tracestate?: string;
  readonly baggage?: string;
}

const ids = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}";

/** Version 00 as it is; a later one may append fields (Trace Context, §3.2.2). */
const traceparentPattern = new RegExp(`^(00-${ids}|(?!00|ff)[0-9a-f]{2}-${ids}(-[\\x21-\\x7e]{0,200})?)$`);

/** The headers that carry a trace; empty if there is none, or if its `traceparent` is malformed: a bad trace never stops a message. */
export function traceHeaders(trace: TraceContext | undefined): Record<string, string> {
  if (trace === undefined || !isTraceparent(trace.traceparent)) return {};
  return {
    traceparent: trace.traceparent,
    ...(isHeaderValue(trace.tracestate) ? { tracestate: trace.tracestate } : {}),
    ...(isHeaderValue(trace.baggage) ? { baggage: trace.baggage } : {}),
  };
}

/** Adds a trace to checked headers, and leaves out what the limits have no room for: the message goes first. */
export function withTrace(headers: ReadonlyMap<string, string>, trace: TraceContext | undefined): ReadonlyMap<string, string> {
  const traced = new Map(headers);
  for (const [name, value] of Object.entries(traceHeaders(trace))) {
    const candidate = new Map([...traced, [name, value]]);
    if (candidate.size <= limits.headersMax && headersBytes(candidate) <= limits.headerBytesMax) traced.set(name, value);
    else if (name === "traceparent") break;
  }
  return traced;
}

/** The trace that a received message carries, or null. */
export function traceOf(headers: ReadonlyMap<string, string>): TraceContext | null {
  const traceparent = headers.get("traceparent");
  if (!isTraceparent(traceparent)) return null;
  const tracestate = headers.get("tracestate");
  const baggage = headers.get("baggage");
  return { traceparent, ...(isHeaderValue(tracestate) ? { tracestate } : {}), ...(isHeaderValue(baggage) ? { baggage } : {}) };
}

function isTraceparent(value: string | undefined): value is string {
  return typeof value === "string" && traceparentPattern.test(value);
}

function isHeaderValue(value: string | undefined): value is string {
  return typeof value === "string" && value !== "" && isWellFormed(value) && !hasControlCharacter(value);
}
