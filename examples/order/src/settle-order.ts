/**
 * What becomes of an order when the inventory service replies: a saga without a conductor. Each step is one commit of one service, and the message that starts the next
 * step is part of it.
 *
 *     order: pending ──placed──▶ inventory: reserve ──reserved──▶ order: charge the card ── enough ──▶ confirmed
 *                                    │                                     └── not enough ──▶ rejected, credit back ──cancelled──▶ inventory: release
 *                                    └──refused──▶ order: rejected, credit back                                                        └──released──▶ done
 *
 * Every message to the inventory service waits for its reply (`confirmBy`), which is confirmed here, in the commit of what the reply does. A compensation that nobody
 * carries out is therefore an alarm and not a silence.
 *
 * There is no `where status = 'pending'` and nothing to fall back on: the inbox's row commits together with these statements, so a message that comes
 * again does not get here.
 */
import { reject } from "@waybill/inbox";
import { append, confirm } from "@waybill/outbox";
import type { Row, Tx } from "@waybill/sql";
import { confirmedByInventory, type ShopMessages, type StockAnswer } from "./messages.ts";
import { statements } from "./statements.ts";

/** The stock is there: charges the card. If that is refused, the order is rejected and its stock is released. */
export async function chargeOrder(tx: Tx, shop: ShopMessages, messageId: string, answer: StockAnswer): Promise<void> {
  const { orderId, customerId } = answer;
  const sql = statements[tx.dialect];
  const order = await repliedOrder(tx, answer);
  const cents = String(order["total_cents"]);
  const [card] = await tx.query(sql.lockCard, [customerId]);
  if (card !== undefined && Number(card["left_cents"]) >= Number(cents)) {
    await tx.query(sql.chargeCard, [cents, customerId]);
    return settle(tx, messageId, orderId, "confirmed");
  }
  await rejectOrder(tx, messageId, orderId, order);
  await append(tx, shop.orderCancelled({ orderId, customerId }), confirmedByInventory);
}

/** There is not enough stock: the order is rejected, and nothing was reserved that had to be released. */
export async function refuseOrder(tx: Tx, messageId: string, answer: StockAnswer): Promise<void> {
  const order = await repliedOrder(tx, answer);
  await rejectOrder(tx, messageId, answer.orderId, order);
}

/** The stock of a cancelled order is released: the saga has come to its end. */
export async function endCancellation(tx: Tx, answer: StockAnswer): Promise<void> {
  await repliedOrder(tx, answer);
}

/** Confirms our message that this is a reply to, and answers the order. Late or doubled replies confirm nothing, which is no mistake. */
async function repliedOrder(tx: Tx, { orderId, inReplyTo }: StockAnswer): Promise<Row> {
  const [order] = await tx.query(statements[tx.dialect].findOrder, [orderId]);
  if (order === undefined) return reject("orderUnknown");
  await confirm(tx, { messageId: inReplyTo, consumer: "inventory" });
  return order;
}

/** A rejected order gives the customer the credit back. */
async function rejectOrder(tx: Tx, messageId: string, orderId: string, order: Row): Promise<void> {
  await settle(tx, messageId, orderId, "rejected");
  await tx.query(statements[tx.dialect].giveCreditBack, [String(order["total_cents"]), String(order["customer_id"])]);
}

/** Moves an order from pending to its end, and notes by which message. */
async function settle(tx: Tx, messageId: string, orderId: string, status: "confirmed" | "rejected"): Promise<void> {
  const sql = statements[tx.dialect];
  await tx.query(sql.setStatus, [status, orderId]);
  await tx.query(sql.noteChange, [orderId, messageId, status]);
}
