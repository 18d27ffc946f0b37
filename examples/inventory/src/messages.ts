/**
 * What this service hears, and what it answers. The order message is the order service's: its type is repeated here and not
 * imported, because two services share a contract on the wire, not code. Only what is needed of it is named.
 */
import { catalogue, message } from "@waybill/core";

export interface OrderPlaced {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
}

export interface OrderCancelled {
  readonly orderId: string;
  readonly customerId: string;
}

/** What it hears. A customer's messages keep their order: an order is cancelled after it was placed. */
export const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.customerId }),
  orderCancelled: message<OrderCancelled>({ type: "shop.order.cancelled.v1", topic: "orders", key: (order) => order.customerId }),
});

/** The reply to a message of the order service: `inReplyTo` is the id of that message. Whoever replies has handled it, so the reply confirms it. */
export interface StockAnswer {
  readonly orderId: string;
  readonly customerId: string;
  readonly inReplyTo: string;
}

/** What it sends. One customer's answers keep their order, too. `topicPrefix` tells installations on one broker apart. */
export const stockMessages = (topicPrefix: string) =>
  catalogue({
    source: "/inventory-service",
    reserved: message<StockAnswer>({ type: "shop.stock.reserved.v1", topic: `${topicPrefix}stock`, key: (answer) => answer.customerId }),
    refused: message<StockAnswer>({ type: "shop.stock.refused.v1", topic: `${topicPrefix}stock`, key: (answer) => answer.customerId }),
    released: message<StockAnswer>({ type: "shop.stock.released.v1", topic: `${topicPrefix}stock`, key: (answer) => answer.customerId }),
  });

export type StockMessages = ReturnType<typeof stockMessages>;
