import { describe, expect, test } from "vitest";
import { type Evidence, failed, notSent, outcomeOf, rejectedAs } from "./outcome.ts";

const closed = (brokerCode: string, isAlone: boolean): Evidence => ({
  kind: "channelException",
  isAlone,
  failure: { reason: "channelException", brokerCode, cause: undefined },
});

/** An outcome in one line. */
const shown = (evidence: Evidence): string => {
  const outcome = outcomeOf(evidence, "orders");
  if (outcome.kind === "confirmed") return "confirmed";
  const { system, reason, brokerCode } = outcome.error.facts;
  return [outcome.kind, outcome.kind === "rejected" ? "-" : outcome.scope, system, reason, brokerCode].join(" ");
};

describe("the outcome", () => {
  test.each<readonly [string, Evidence, string]>([
    ["an ack", { kind: "acked", returnedCode: null }, "confirmed"],
    ["an ack after a return", { kind: "acked", returnedCode: "312" }, "retry topic rabbitmq unroutable 312"],
    ["a nack", { kind: "nacked" }, "unknown topic rabbitmq nacked "],
    ["406 on a channel with nothing else", closed("406", true), "rejected - rabbitmq refused 406"],
    ["404 on a channel with nothing else", closed("404", true), "retry topic rabbitmq channelException 404"],
    ["403 on a channel with nothing else", closed("403", true), "retry topic rabbitmq channelException 403"],
    ["another code on a channel with nothing else", closed("541", true), "unknown topic rabbitmq channelException 541"],
    ["406 on a channel with others", closed("406", false), "unknown topic rabbitmq channelException 406"],
    ["404 on a channel with others", closed("404", false), "unknown topic rabbitmq channelException 404"],
    ["silence of a queue", { kind: "unheard", scope: "topic", failure: failed("deadline") }, "unknown topic rabbitmq deadline "],
    ["silence of the broker", { kind: "unheard", scope: "transport", failure: failed("deadline") }, "unknown transport rabbitmq deadline "],
  ])("of %s", (_, evidence, expected) => {
    expect(shown(evidence)).toBe(expected);
  });

  test("of what was not written promises that it is not stored", () => {
    expect(notSent("orders", failed("blocked"), "transport", 500)).toMatchObject({ kind: "retry", scope: "transport", afterMs: 500 });
    expect(rejectedAs("orders", failed("headersInvalid"))).toMatchObject({ kind: "rejected" });
  });
});
