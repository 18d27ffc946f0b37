import { expect, test } from "vitest";
import { headersBytes } from "./headers.ts";
import { traceHeaders, traceOf, withTrace } from "./trace-context.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const unsampled = traceparent.replace(/1$/, "0");

test("a trace becomes headers and comes back, sampled or not", () => {
  for (const trace of [{ traceparent }, { traceparent: unsampled }, { traceparent, tracestate: "shop=1", baggage: "tenant=acme" }]) {
    expect(traceOf(new Map(Object.entries(traceHeaders(trace))))).toEqual(trace);
  }
});

test("without a trace, or with a malformed traceparent, there are no headers", () => {
  const malformed = [
    "",
    "00",
    traceparent.toUpperCase(),
    traceparent.replace("00-", "ff-"),
    traceparent.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    traceparent.replace("b7ad6b7169203331", "0".repeat(16)),
    `${traceparent}-extra`,
    `${traceparent}\n`,
    ` ${traceparent}`,
    traceparent.slice(0, -1),
    `01${traceparent.slice(2)}extra`,
    `01${traceparent.slice(2)}-\r\n`,
    `01${traceparent.slice(2)}-${"x".repeat(300)}`,
  ];
  for (const each of malformed) {
    expect(traceHeaders({ traceparent: each, baggage: "a=b" })).toEqual({});
    expect(traceOf(new Map([["traceparent", each]]))).toBeNull();
  }
  expect(traceHeaders(undefined)).toEqual({});
  expect(traceHeaders({ traceparent: 7 as unknown as string })).toEqual({});
  expect(traceOf(new Map())).toBeNull();
});

test("a later version of traceparent may carry more fields", () => {
  expect(traceHeaders({ traceparent: `01${traceparent.slice(2)}-extra` })).toEqual({ traceparent: `01${traceparent.slice(2)}-extra` });
});

test("a malformed tracestate or baggage is left out, the trace stays", () => {
  for (const broken of ["", "a\r\nb: c", "\ud800"]) {
    expect(traceHeaders({ traceparent, tracestate: broken, baggage: broken })).toEqual({ traceparent });
    expect(
      traceOf(
        new Map([
          ["traceparent", traceparent],
          ["baggage", broken],
        ]),
      ),
    ).toEqual({ traceparent });
  }
});

test("what the limits have no room for is left out: baggage before the trace, the trace before the caller's headers", () => {
  const full = new Map([["note", "a".repeat(8_110)]]);
  expect([...withTrace(full, { traceparent, baggage: "a=b" }).keys()]).toEqual(["note", "traceparent"]);
  expect([...withTrace(new Map(), { traceparent, baggage: "b".repeat(9_000), tracestate: "shop=1" }).keys()]).toEqual([
    "traceparent",
    "tracestate",
  ]);
  expect([...withTrace(new Map([["note", "a".repeat(8_160)]]), { traceparent, baggage: "a=b" }).keys()]).toEqual(["note"]);
  expect(headersBytes(withTrace(full, { traceparent, baggage: "b".repeat(500) }))).toBeLessThanOrEqual(8_192);
  const many = new Map(Array.from({ length: 63 }, (_, index) => [`h${index}`, ""]));
  expect(withTrace(many, { traceparent, baggage: "a=b" }).size).toBe(64);
});
