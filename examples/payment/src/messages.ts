import { catalogue, message } from "@waybill/core";

export interface PaymentTaken {
  readonly paymentId: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly cents: number;
}

/**
 * What this service sends. Its source is the producer's name, whatever the catalogue says: the half-message service knows who prepares. `topicPrefix`
 * tells installations on one broker apart.
 */
export const paymentMessages = (topicPrefix: string) =>
  catalogue({
    source: "/payments",
    paymentTaken: message<PaymentTaken>({
      type: "shop.payment.taken.v1",
      topic: `${topicPrefix}payments`,
      key: (payment) => payment.customerId,
    }),
  });

export type PaymentMessages = ReturnType<typeof paymentMessages>;
