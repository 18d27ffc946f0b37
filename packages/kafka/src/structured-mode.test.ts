import { expect, test } from "vitest";
import { isStructured, readStructured } from "./structured-mode.ts";

const read = (
  text: string,
): { readonly payload: string | null; readonly contentType: string | null; readonly id: string | undefined } | null => {
  const event = readStructured(Buffer.from(text));
  if (event === null) return null;
  const { payload, contentType, attributes } = event;
  return { payload: payload === null ? null : Buffer.from(payload).toString(), contentType, id: attributes.get("id") };
};

test("data is taken as it is written", () => {
  const data = '{ "a" : 1.0, "a":12345678901234567890, "text":"}],\\"{:" , "list":[1,{"data":2}] }';
  expect(read(`{"specversion":"1.0","id":"1","data": ${data} ,"type":"t"}`)?.payload).toBe(data);
  expect(read(`{"data":${data},"id":"1"}`)?.payload).toBe(data);
  expect(read(`{"id":"1","nested":{"data":1},"data":[2]}`)?.payload).toBe("[2]");
  expect(read('{"data":1,"id":"1","data":2}')?.payload).toBe("2");
  expect(read('{"d\\u0061ta":[3],"id":"1"}')?.payload).toBe("[3]");
  expect(read('{"id":"1","data":null}')?.payload).toBe("null");
  expect(read('{"id":"data","x":"y","data":"text: \\"{\\""}')?.payload).toBe('"text: \\"{\\""');
});

test("text that is no JSON is the payload itself, bytes are decoded, and no data is a tombstone", () => {
  expect(read('{"id":"1","datacontenttype":"text/plain","data":"a \\"b\\""}')).toEqual({
    payload: 'a "b"',
    contentType: "text/plain",
    id: "1",
  });
  expect(read('{"id":"1","datacontenttype":"application/x+json","data":"a"}')?.payload).toBe('"a"');
  expect(read('{"id":"1","datacontenttype":"image/png","data_base64":"AAEC"}')?.payload).toBe("\u0000\u0001\u0002");
  expect(read('{"id":"1"}')).toEqual({ payload: null, contentType: null, id: "1" });
});

test("attributes are text, whatever JSON they are written in", () => {
  const event = readStructured(Buffer.from('{"id":"1","sequence":7,"flag":true,"object":{},"nothing":null}'));
  expect([...(event?.attributes ?? [])]).toEqual([
    ["id", "1"],
    ["sequence", "7"],
    ["flag", "true"],
  ]);
});

test.each([
  ["no JSON", "{"],
  ["an array", "[]"],
  ["null", "null"],
  ["a number", "1"],
  ["data twice over", '{"data":1,"data_base64":"AA=="}'],
  ["base64 that is none", '{"data_base64":"%"}'],
  ["a content type that is no text", '{"datacontenttype":1,"data":1}'],
  ["nested deeply", `{"data":${"[".repeat(1_000_000)}`],
])("%s is no event", (_, text) => {
  expect(read(text)).toBeNull();
});

test("nesting that JSON allows is read without a stack", () => {
  const data = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  expect(read(`{"data":${data}}`)?.payload).toBe(data);
});

test("bytes that are no UTF-8 are no event", () => {
  expect(readStructured(Uint8Array.of(0x7b, 0xff, 0x7d))).toBeNull();
});

test("the content type decides, with its parameters and in any case", () => {
  expect(isStructured("application/cloudevents+json; charset=UTF-8")).toBe(true);
  expect(isStructured("Application/CloudEvents+JSON")).toBe(true);
  expect(isStructured("application/cloudevents-batch+json")).toBe(false);
  expect(isStructured("application/json")).toBe(false);
  expect(isStructured(undefined)).toBe(false);
});
