/**
 * What this service sends, and what it hears. The stock answers are the inventory service's messages: their types are repeated
 * here and not imported, because two services share a contract on the wire, not code.
 */
import { catalogue, message } from "@waybill/core";

export interface OrderPlaced {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly totalCents: number;
}

/** What it sends. One customer's orders keep their order, so the customer is the key. `topicPrefix` tells installations on one broker apart. */
export const shopMessages = (topicPrefix: string) =>
  catalogue({
    source: "/order-service",
    orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: `${topicPrefix}orders`, key: (order) => order.customerId }),
  });

export type ShopMessages = ReturnType<typeof shopMessages>;

export interface StockAnswer {
  readonly orderId: string;
  readonly customerId: string;
}

/** What it hears. */
export const stock = catalogue({
  source: "/inventory-service",
  reserved: message<StockAnswer>({ type: "shop.stock.reserved.v1", topic: "stock", key: (answer) => answer.customerId }),
  refused: message<StockAnswer>({ type: "shop.stock.refused.v1", topic: "stock", key: (answer) => answer.customerId }),
});
