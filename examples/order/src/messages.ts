/**
 * What this service sends, and what it hears. The stock answers are the inventory service's messages, and payments the payment service's: their types
 * are repeated here and not imported, because two services share a contract on the wire, not code.
 */
import { catalogue, message } from "@waybill/core";

export interface OrderPlaced {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly totalCents: number;
}

/** The order was placed, its stock reserved, and its payment refused. */
export interface OrderCancelled {
  readonly orderId: string;
  readonly customerId: string;
}

/** What it sends. One customer's orders keep their order, so the customer is the key. `topicPrefix` tells installations on one broker apart. */
export const shopMessages = (topicPrefix: string) =>
  catalogue({
    source: "/order-service",
    orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: `${topicPrefix}orders`, key: (order) => order.customerId }),
    orderCancelled: message<OrderCancelled>({
      type: "shop.order.cancelled.v1",
      topic: `${topicPrefix}orders`,
      key: (order) => order.customerId,
    }),
  });

export type ShopMessages = ReturnType<typeof shopMessages>;

/**
 * Whose reply to a message is waited for, and for how long until the message is sent again: five times, and given up with an alarm after sixteen hours. It is not lost
 * anyway; what this tells is that its effect is committed at the other end, or that somebody must look.
 */
export const confirmedByInventory = { confirmBy: ["inventory"], withinMs: 900_000 } as const;

/** A reply of the inventory service. `inReplyTo`: the id of our message, which it confirms. */
export interface StockAnswer {
  readonly orderId: string;
  readonly customerId: string;
  readonly inReplyTo: string;
}

/** What it hears of stock. */
export const stock = catalogue({
  source: "/inventory-service",
  reserved: message<StockAnswer>({ type: "shop.stock.reserved.v1", topic: "stock", key: (answer) => answer.customerId }),
  refused: message<StockAnswer>({ type: "shop.stock.refused.v1", topic: "stock", key: (answer) => answer.customerId }),
  released: message<StockAnswer>({ type: "shop.stock.released.v1", topic: "stock", key: (answer) => answer.customerId }),
});

export interface PaymentTaken {
  readonly paymentId: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly cents: number;
}

/** What it hears of payments. They are half messages of the producer `payments`. */
export const payments = catalogue({
  source: "/payments",
  taken: message<PaymentTaken>({ type: "shop.payment.taken.v1", topic: "payments", key: (payment) => payment.customerId }),
});
