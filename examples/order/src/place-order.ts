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
import { shop } from "./messages.ts";

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
export async function placeOrder(knex: Knex, order: NewOrder): Promise<Placement> {
  try {
    return await knex.transaction((trx) => placeIn(trx, order));
  } catch (error) {
    if (isBroken(error, "23514", "customer_credit")) return { kind: "refused", reason: "creditExceeded" };
    // Somebody placed the same id in between; it is committed now and will be found.
    if (isBroken(error, "23505", "customer_order_pkey")) return await knex.transaction((trx) => placeIn(trx, order));
    throw error;
  }
}

async function placeIn(trx: Knex.Transaction, order: NewOrder): Promise<Placement> {
  const { orderId, customerId, sku, quantity, totalCents } = order;
  const known = await knownOrder(trx, order);
  if (known !== null) return known;

  // Orders of one customer exclude each other from here on, so they are appended – and published – in the order of their places.
  const counted: { readonly rows: readonly { readonly place: number }[] } = await trx.raw(
    `insert into customer (customer_id, orders_placed) values (?, 1)
     on conflict (customer_id) do update set orders_placed = customer.orders_placed + 1
     returning orders_placed as place`,
    [customerId],
  );
  await trx("customer_order").insert({
    order_id: orderId,
    customer_id: customerId,
    place: counted.rows[0]?.place,
    sku,
    quantity,
    total_cents: totalCents,
  });

  // An order is placed once, so its id is the message's, too: nobody can append it a second time.
  await append(trx, shop.orderPlaced({ orderId, customerId, sku, quantity, totalCents }, { id: orderId }));

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

/** Drivers give a broken constraint's SQLSTATE and name as fields of the error. */
function isBroken(error: unknown, sqlState: string, constraint: string): boolean {
  return error instanceof Error && "code" in error && error.code === sqlState && "constraint" in error && error.constraint === constraint;
}
