import { reject } from "@waybill/inbox";
import type { Tx } from "@waybill/sql";
import type { PaymentTaken } from "./messages.ts";
import { statements } from "./statements.ts";

/**
 * Adds a payment to its order, and notes by which message. A payment of an order that nobody placed goes to the dead letters.
 *
 * It adds, so doing it twice would show. It does not ask whether it was done: the inbox's row commits together with these statements, and only then is the
 * payment acknowledged.
 */
export async function notePayment(tx: Tx, messageId: string, { paymentId, orderId, cents }: PaymentTaken): Promise<void> {
  const sql = statements[tx.dialect];
  const [order] = await tx.query(sql.findOrder, [orderId]);
  if (order === undefined) return reject("orderUnknown");
  await tx.query(sql.addPaid, [cents, orderId]);
  await tx.query(sql.notePayment, [paymentId, orderId, messageId, cents]);
}
