import { expect, test } from "vitest";
import { isDeliveryHeader, splitDeliveryHeaders } from "./delivery-headers.ts";
import { receivedMessage } from "./received-message.ts";

const delivery = {
  "waybill-delivery-id": "42-00c0ffee00c0ffee",
  "waybill-attempt": "3",
  "waybill-ack": "explicit",
  "waybill-ack-deadline-ms": "30000",
};

test("the headers of a delivery are told from a message's own, by name and value", () => {
  expect(splitDeliveryHeaders(Object.entries({ tenant: "t", ...delivery, "waybill-other": "1" }))).toEqual({
    delivery,
    own: { tenant: "t", "waybill-other": "1" },
  });
});

test.each([
  ["waybill-delivery-id", "42"],
  ["waybill-delivery-id", "42-00C0FFEE00C0FFEE"],
  ["waybill-attempt", "third"],
  ["waybill-ack", "perhaps"],
  ["waybill-ack-deadline-ms", "-1"],
  ["toString", ""],
])("%s: %s is none", (name, value) => {
  expect(isDeliveryHeader(name, value)).toBe(false);
});

test("they arrive beside as many headers as a message may have", () => {
  const own = Object.fromEntries(Array.from({ length: 64 }, (_, place) => [`h${place}`, "v"]));
  const { headers } = receivedMessage({
    attributes: new Map(Object.entries({ specversion: "1.0", id: "m", type: "t" })),
    headers: Object.entries({ ...delivery, ...own }),
    payload: null,
    otherwise: { topic: "orders", key: null, createdAtMs: null },
  });
  expect(Object.fromEntries(headers)).toEqual({ ...own, ...delivery });
});
