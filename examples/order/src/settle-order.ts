import { reject } from "@waybill/inbox";
import type { Tx } from "@waybill/sql";
import type { StockAnswer } from "./messages.ts";

/**
 * Moves an order from pending to what the inventory service answered, and notes by which message. A rejected order gives the
 * customer the credit back.
 *
 * There is no `where status = 'pending'` and nothing to fall back on: the inbox's row commits together with these statements, so
 * a message that comes again does not get here.
 */
export async function settleOrder(tx: Tx, messageId: string, { orderId }: StockAnswer, status: "confirmed" | "rejected"): Promise<void> {
  const [order] = await tx.query("update customer_order set status = $2 where order_id = $1 returning customer_id, total_cents::text", [
    orderId,
    status,
  ]);
  if (order === undefined) return reject("orderUnknown");
  await tx.query("insert into order_change (order_id, message_id, status) values ($1, $2, $3)", [orderId, messageId, status]);
  if (status === "rejected") {
    await tx.query("update customer set credit_cents = credit_cents + $2::bigint where customer_id = $1", [
      String(order["customer_id"]),
      String(order["total_cents"]),
    ]);
  }
}
