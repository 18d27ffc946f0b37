import type { StandardSchemaV1 } from "@standard-schema/spec";
import { z } from "zod";
import { catalogue, type MessageType, message } from "./catalogue.ts";
import type { Message } from "./message.ts";
import type { StandardSchema } from "./standard-schema.ts";

interface OrderPlaced {
  readonly orderId: string;
  readonly totalCents: number;
}

type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
function same<One, Other>(..._proof: Same<One, Other> extends true ? [] : [never]): void {}

const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
  paymentCaptured: message({
    type: "shop.payment.captured.v1",
    topic: "payments",
    payload: z.object({
      paymentId: z.string(),
      totalCents: z.number().int(),
      paidAt: z.iso.datetime().transform((text) => new Date(text)),
    }),
    key: (payment) => payment.paymentId,
  }),
  noteWritten: message<{ text: string } | null>({ type: "shop.note.written.v1", topic: "notes" }),
});

// A catalogue's entries are its definitions without the source, and their payloads are inferred.
same<keyof typeof shop, "orderPlaced" | "paymentCaptured" | "noteWritten">();
same<typeof shop.orderPlaced, MessageType<OrderPlaced, OrderPlaced>>();
same<
  typeof shop.paymentCaptured,
  MessageType<{ paymentId: string; totalCents: number; paidAt: string }, { paymentId: string; totalCents: number; paidAt: Date }>
>();
same<ReturnType<typeof shop.orderPlaced>, Message>();
same<ReturnType<typeof shop.paymentCaptured.read>["paidAt"], Date>();

shop.orderPlaced({ orderId: "order-1", totalCents: 1 }, { headers: { "tenant-id": "acme" }, key: "customer-1" });
shop.noteWritten(null, { key: "note-1" });

// @ts-expect-error a property is missing
shop.orderPlaced({ orderId: "order-1" });
// @ts-expect-error a property has another type
shop.orderPlaced({ orderId: 1, totalCents: 1 });
// @ts-expect-error a property is unknown
shop.orderPlaced({ orderId: "order-1", totalCents: 1, currency: "EUR" });
// @ts-expect-error a tombstone where the payload's type admits none
shop.orderPlaced(null);
// @ts-expect-error the schema's output where its input is wanted
shop.paymentCaptured({ paymentId: "p", totalCents: 1, paidAt: new Date(0) });
// @ts-expect-error an entry nobody defined
shop.orderLost({ orderId: "order-1" });
// @ts-expect-error a header that is no text
shop.orderPlaced({ orderId: "order-1", totalCents: 1 }, { headers: { attempt: 1 } });
// @ts-expect-error a message is immutable
shop.orderPlaced({ orderId: "order-1", totalCents: 1 }).topic = "payments";

// @ts-expect-error the key is a text or null
message<OrderPlaced>({ type: "a.v1", topic: "a", key: (order) => order.totalCents });
// @ts-expect-error the key is taken from the payload there is
message<OrderPlaced>({ type: "a.v1", topic: "a", key: (order) => order.customerId });
// @ts-expect-error the key is taken from the payload the schema admits
message({ type: "a.v1", topic: "a", payload: z.object({ id: z.string() }), key: (given) => given.name });
// @ts-expect-error a topic is missing
message<OrderPlaced>({ type: "a.v1" });
// @ts-expect-error a schema has to be a Standard Schema
message({ type: "a.v1", topic: "a", payload: { parse: () => 1 } });
// @ts-expect-error a catalogue needs a source
catalogue({ orderPlaced: message<OrderPlaced>({ type: "a.v1", topic: "a" }) });
// @ts-expect-error an entry is made by message()
catalogue({ source: "/s", orderPlaced: { type: "a.v1", topic: "a" } });

// Any implementation of the published interface fits ours.
declare const published: StandardSchemaV1<{ id: string }, { id: number }>;
const fits: StandardSchema<{ id: number }> = published;
same<typeof fits, StandardSchema<{ id: number }>>();
