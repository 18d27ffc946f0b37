import { expect, test } from "vitest";
import { contentTypeProblem, keyProblem, sourceProblem, topicProblem, typeProblem } from "./grammar.ts";

test("a type is 1 to 255 bytes of UTF-8 without control characters", () => {
  expect(typeProblem("shop.order.placed.v1")).toBeNull();
  expect(typeProblem("a".repeat(255))).toBeNull();
  for (const type of ["", "a".repeat(256), "ü".repeat(128), "a\nb", "a\ud800"]) expect(typeProblem(type)).toMatch(/255 bytes/);
});

test("a topic is 1 to 249 of letters, digits, '.', '_' and '-'", () => {
  expect(topicProblem("Orders_2.eu-west")).toBeNull();
  expect(topicProblem("a".repeat(249))).toBeNull();
  for (const topic of ["", "a".repeat(250), "orders/eu", "ö", "a b", "orders\n"]) expect(topicProblem(topic)).toMatch(/249/);
});

test("a key is 1 to 255 bytes without control characters or lone surrogates", () => {
  expect(keyProblem("order-1")).toBeNull();
  expect(keyProblem("€".repeat(85))).toBeNull();
  for (const key of ["", "€".repeat(86), "a\u0000", "\udc00"]) expect(keyProblem(key)).toMatch(/255 bytes/);
});

test("a source is a URI reference in printable ASCII", () => {
  for (const source of ["/order-service", "urn:shop:orders", "https://shop.example/orders"]) expect(sourceProblem(source)).toBeNull();
  for (const source of ["", "/order service", "/ö", "a".repeat(256)]) expect(sourceProblem(source)).toMatch(/URI reference/);
});

test("a content type is a media type on one line", () => {
  for (const type of ["application/json", "text/plain; charset=utf-8", "application/vnd.shop+json"])
    expect(contentTypeProblem(type)).toBeNull();
  for (const type of ["", "json", "text/plain\r\nx: y", "text/plain; charset=ü"]) expect(contentTypeProblem(type)).toMatch(/media type/);
});

test("what is no text breaks each rule and is not repeated", () => {
  for (const problem of [typeProblem, topicProblem, keyProblem, sourceProblem, contentTypeProblem]) {
    for (const value of [424242, null, undefined, {}, ["orders"]]) {
      const rule = problem(value as unknown as string);
      expect(rule).not.toBeNull();
      expect(rule).not.toContain("424242");
    }
  }
});
