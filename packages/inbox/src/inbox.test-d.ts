import { catalogue, message } from "@waybill/core";
import type { Inbox } from "./inbox.ts";

interface OrderPlaced {
  readonly orderId: string;
  readonly quantity: number;
}
declare const inbox: Inbox;
const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
  orderPaid: message<OrderPlaced>({ type: "shop.order.paid.v1", topic: "orders" }),
});

inbox.on(shop.orderPlaced, async (placed, tx, { signal, attempt }) => {
  const quantity: number = placed.payload.quantity;
  await tx.query("select $1, $2, $3", [quantity, String(signal.aborted), attempt]);
  // @ts-expect-error: no such field in the payload
  const missing: unknown = placed.payload.sku;
  // @ts-expect-error: a handler's transaction is not committed by the handler
  const commit: unknown = tx.commit;
  await tx.query("select $1, $2", [String(missing), String(commit)]);
});
inbox.on(shop.orderPlaced, () => undefined);
// @ts-expect-error: the handler wants another payload
inbox.on(shop.orderPlaced, ({ payload }: { readonly payload: { readonly other: boolean } }) => void payload.other);
// @ts-expect-error: a type's name alone cannot read its payload
inbox.on("shop.order.placed.v1", () => undefined);
inbox.ignore("shop.order.placed.v1");
inbox.ignore(shop.orderPlaced);
inbox.onBatch(shop.orderPaid, async (messages, tx) => {
  const quantities: readonly number[] = messages.map(({ payload }) => payload.quantity);
  await tx.query("select $1", [JSON.stringify(quantities)]);
});
// @ts-expect-error: it is given an array
inbox.onBatch(shop.orderPaid, ({ payload }) => void payload);
