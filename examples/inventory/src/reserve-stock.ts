import { append } from "@waybill/outbox";
import type { Tx } from "@waybill/sql";
import type { OrderPlaced, StockMessages } from "./messages.ts";
import { statements } from "./statements.ts";

/**
 * Decides about an order: reserves its stock, or refuses if there is not enough, and answers.
 *
 * Four things are one commit: that the message was handled (the inbox's row), the stock, the note why, and the answer in this
 * service's own outbox. If the process dies before it, none of them happened and the message comes again; after it, the message may
 * come again and finds the inbox's row.
 */
export async function reserveStock(tx: Tx, stock: StockMessages, messageId: string, order: OrderPlaced): Promise<void> {
  const { orderId, customerId, sku, quantity } = order;
  const sql = statements[tx.dialect];
  // Locked: whoever else wants of this article waits for our commit, and sees what we left.
  const [article] = await tx.query(sql.lockStock, [sku]);
  const isReserved = article !== undefined && Number(article["on_hand"]) - Number(article["reserved"]) >= quantity;
  if (isReserved) await tx.query(sql.reserve, [quantity, sku]);
  const answer = isReserved ? stock.reserved : stock.refused;
  const [answerId = null] = await append(tx, answer({ orderId, customerId, inReplyTo: messageId }));
  await tx.query(sql.noteReservation, [orderId, messageId, sku, quantity, isReserved ? 1 : 0, answerId]);
}
