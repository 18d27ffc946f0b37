import { append } from "@waybill/outbox";
import type { Tx } from "@waybill/sql";
import { type OrderPlaced, stock } from "./messages.ts";

/**
 * Decides about an order: reserves its stock, or refuses if there is not enough, and answers.
 *
 * Four things are one commit: that the message was handled (the inbox's row), the stock, the note why, and the answer in this
 * service's own outbox. If the process dies before it, none of them happened and the message comes again; after it, the message may
 * come again and finds the inbox's row.
 */
export async function reserveStock(tx: Tx, messageId: string, order: OrderPlaced): Promise<void> {
  const { orderId, customerId, sku, quantity } = order;
  const updated = await tx.query(
    "update stock set reserved = reserved + $2::int where sku = $1 and on_hand - reserved >= $2::int returning sku",
    [sku, quantity],
  );
  const isReserved = updated.length === 1;
  const answer = isReserved ? stock.reserved : stock.refused;
  const [answerId = null] = await append(tx, answer({ orderId, customerId }));
  await tx.query(
    `insert into reservation (order_id, message_id, sku, quantity, is_reserved, answer_id)
     values ($1, $2, $3, $4, $5::text::boolean, $6)`,
    [orderId, messageId, sku, quantity, String(isReserved), answerId],
  );
}
