import { expect, test } from "vitest";
import { failureOf } from "./failure.ts";

/** As kafkajs' errors look: a name, perhaps a code, and its retrier's wrapping around. */
function kafkajsError(name: string, code?: number | string): Error {
  return Object.assign(new Error("text that nobody reads"), { name, retriable: false, ...(code === undefined ? {} : { code }) });
}

function wrapped(error: Error): Error {
  return Object.assign(new Error("wrapped", { cause: error }), { name: "KafkaJSNumberOfRetriesExceeded", retriable: false });
}

test.each<[Error, object]>([
  [kafkajsError("KafkaJSProtocolError", 10), { kind: "answered", code: 10 }],
  [wrapped(kafkajsError("KafkaJSProtocolError", 6)), { kind: "answered", code: 6 }],
  [wrapped(wrapped(kafkajsError("KafkaJSProtocolError", -1))), { kind: "answered", code: -1 }],
  [kafkajsError("KafkaJSConnectionError", "ECONNREFUSED"), { kind: "unreachable" }],
  [kafkajsError("KafkaJSConnectionClosedError"), { kind: "unreachable" }],
  [wrapped(kafkajsError("KafkaJSBrokerNotFound")), { kind: "unreachable" }],
  [wrapped(kafkajsError("KafkaJSRequestTimeoutError")), { kind: "timedOut" }],
  [kafkajsError("KafkaJSLockTimeout"), { kind: "timedOut" }],
  [kafkajsError("KafkaJSSASLAuthenticationError"), { kind: "notAuthenticated" }],
  [kafkajsError("KafkaJSProtocolError", 58), { kind: "notAuthenticated" }],
  [new TypeError("Cannot read properties of null"), { kind: "clientFailed" }],
])("K21: the facts are in the innermost cause: %s", (error, failure) => {
  expect(failureOf(error)).toMatchObject(failure);
});

test("K21: what is no error at all, and a cause that is its own, are told as the library's failure", () => {
  expect(failureOf("nothing").kind).toBe("clientFailed");
  const snake = new Error("round");
  snake.cause = snake;
  expect(failureOf(snake).kind).toBe("clientFailed");
});

test("nothing of a failed authentication is kept: who provides tokens may have put one into its error", () => {
  expect(failureOf(kafkajsError("KafkaJSSASLAuthenticationError"))).toEqual({ kind: "notAuthenticated" });
});
