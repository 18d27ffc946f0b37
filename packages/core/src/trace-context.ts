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

const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** The headers that carry a trace; empty if there is none, or if its `traceparent` is malformed: a bad trace never stops a message. */
export function traceHeaders(trace: TraceContext | undefined): Record<string, string> {
  if (trace === undefined || !traceparentPattern.test(trace.traceparent)) return {};
  return {
    traceparent: trace.traceparent,
    ...(trace.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
    ...(trace.baggage === undefined ? {} : { baggage: trace.baggage }),
  };
}

/** The trace that a received message carries, or null. */
export function traceOf(headers: ReadonlyMap<string, string>): TraceContext | null {
  const traceparent = headers.get("traceparent");
  if (traceparent === undefined || !traceparentPattern.test(traceparent)) return null;
  const tracestate = headers.get("tracestate");
  const baggage = headers.get("baggage");
  return { traceparent, ...(tracestate === undefined ? {} : { tracestate }), ...(baggage === undefined ? {} : { baggage }) };
}
