import { secret, systemClock } from "@waybill/core";
import { expect, test } from "vitest";
import { createKeyRing, secretReader } from "./keys.ts";

const text = "a-secret-that-was-given-as-text-by-mistake";

test("a secret given as text is a problem of its key, and in no error", () => {
  const thrown = (): unknown => {
    try {
      return createKeyRing([{ id: "payments-1", secret: text as never, scopes: ["prepare"] }], systemClock);
    } catch (error) {
      return error;
    }
  };
  const error = thrown();
  expect(error).toMatchObject({ code: "WAYBILL_CONFIG_INVALID", facts: { problems: [{ option: "keys[0].secret" }] } });
  expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(text);
});

test.each([text, null, undefined, 7])("what is no source of a secret has none: %j", (source) => {
  expect(secretReader(source as never, systemClock)()).toBeNull();
  expect(secretReader(secret(text), systemClock)()?.reveal()).toBe(text);
});
