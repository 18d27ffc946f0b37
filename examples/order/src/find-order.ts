import type { Knex } from "knex";

/** An order as the API shows it. */
export interface FoundOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly place: number;
  readonly status: "pending" | "confirmed" | "rejected";
  readonly paidCents: number;
}

/** The order with this id, or null. */
export async function findOrder(knex: Knex, orderId: string): Promise<FoundOrder | null> {
  const found: (Omit<FoundOrder, "paidCents"> & { readonly paidCents: string | number }) | undefined = await knex("customer_order")
    .where({ order_id: orderId })
    .first({ orderId: "order_id", customerId: "customer_id", place: "place", status: "status", paidCents: "paid_cents" });
  return found === undefined ? null : { ...found, paidCents: Number(found.paidCents) };
}
