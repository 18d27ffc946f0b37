/**
 * Placing an order: the order and the message that tells of it are one commit.
 *
 *     lock the customer ──▶ insert the order ──▶ append ──▶ take the credit ──▶ COMMIT ──▶ 201
 *            │                     │                            │                 │
 *            │                     └ known id: nothing changes  └ not enough:     └ no answer: the caller asks again
 *            │                       and the answer is the same   all is undone,    with the same order id
 *            └ the customer's other orders wait here              message included
 */
import { append } from "@waybill/outbox";
import type { Knex } from "knex";
import { brokenRule } from "./broken-rule.ts";
import { confirmedByInventory, type ShopMessages } from "./messages.ts";

export interface NewOrder {
  /** A UUID of the caller's own. Placing the same id again changes nothing. */
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly totalCents: number;
}

/** `placed` and `known` answer alike; `refused` leaves no trace; `conflict`: the id belongs to another order. */
export type Placement =
  | { readonly kind: "placed" | "known" | "conflict" }
  | { readonly kind: "refused"; readonly reason: "creditExceeded" };

/**
 * Rejects with what the database or its connection failed of. Whether the order is in is then unknown: place it again.
 */
export async function placeOrder(knex: Knex, shop: ShopMessages, order: NewOrder): Promise<Placement> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await knex.transaction((trx) => placeIn(trx, shop, order), { isolationLevel: "read committed" });
    } catch (error) {
      const broken = brokenRule(error);
      if (broken === "credit") return { kind: "refused", reason: "creditExceeded" };
      // Somebody placed the same id in between, which is committed now and will be found; or two waited for each other. Again, as a whole.
      if (broken === null || attempt === attemptsMax) throw error;
    }
  }
}

const attemptsMax = 5;

async function placeIn(trx: Knex.Transaction, shop: ShopMessages, order: NewOrder): Promise<Placement> {
  const { orderId, customerId, sku, quantity, totalCents } = order;
  const known = await knownOrder(trx, order);
  if (known !== null) return known;

  // Orders of one customer exclude each other from here on, so they are appended – and published – in the order of their places.
  await trx("customer")
    .insert({ customer_id: customerId, orders_placed: 1 })
    .onConflict("customer_id")
    .merge({ orders_placed: trx.raw("customer.orders_placed + 1") });
  const customer: { readonly place: number } | undefined = await trx("customer")
    .where({ customer_id: customerId })
    .first({ place: "orders_placed" });
  await trx("customer_order").insert({
    order_id: orderId,
    customer_id: customerId,
    place: customer?.place,
    sku,
    quantity,
    total_cents: totalCents,
  });

  // An order is placed once, so its id is the message's, too: nobody can append it a second time. Until the inventory service has replied, it is sent again.
  await append(trx, shop.orderPlaced({ orderId, customerId, sku, quantity, totalCents }, { id: orderId }), confirmedByInventory);

  // After the append on purpose: whatever fails from here to the commit takes the message with it.
  await trx("customer").where({ customer_id: customerId }).decrement("credit_cents", totalCents);
  return { kind: "placed" };
}

/** What an order with this id means for a caller who places it (again); null if there is none. */
async function knownOrder(trx: Knex.Transaction, order: NewOrder): Promise<Placement | null> {
  const known: KnownOrder | undefined = await trx<KnownOrder>("customer_order").where({ order_id: order.orderId }).first();
  if (known === undefined) return null;
  const isSame =
    known.customer_id === order.customerId &&
    known.sku === order.sku &&
    known.quantity === order.quantity &&
    Number(known.total_cents) === order.totalCents;
  return { kind: isSame ? "known" : "conflict" };
}

interface KnownOrder {
  readonly order_id: string;
  readonly customer_id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly total_cents: string;
}
