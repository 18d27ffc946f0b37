import { reject } from "@waybill/inbox";
import { append } from "@waybill/outbox";
import type { Tx } from "@waybill/sql";
import type { OrderCancelled, StockMessages } from "./messages.ts";
import { statements } from "./statements.ts";

/**
 * Takes back what was reserved for an order, notes it, and replies: the compensation of `reserveStock`.
 *
 * It subtracts, so doing it twice would show. It need not ask whether the stock was reserved yet: both messages have the customer as their key, and come in the order
 * in which they were appended. An order without reserved stock is nothing to compensate, and somebody should look why it was cancelled: a dead letter.
 */
export async function releaseStock(
  tx: Tx,
  stock: StockMessages,
  messageId: string,
  { orderId, customerId }: OrderCancelled,
): Promise<void> {
  const sql = statements[tx.dialect];
  const [reservation] = await tx.query(sql.findReserved, [orderId]);
  if (reservation === undefined) return reject("nothingReserved");
  const quantity = Number(reservation["quantity"]);
  await tx.query(sql.release, [quantity, String(reservation["sku"])]);
  await tx.query(sql.noteRelease, [orderId, messageId, quantity]);
  await append(tx, stock.released({ orderId, customerId, inReplyTo: messageId }));
}
