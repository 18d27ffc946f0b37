import { reject } from "@waybill/inbox";
import type { Tx } from "@waybill/sql";
import type { StockAnswer } from "./messages.ts";
import { statements } from "./statements.ts";

/**
 * Moves an order from pending to what the inventory service answered, and notes by which message. A rejected order gives the
 * customer the credit back.
 *
 * There is no `where status = 'pending'` and nothing to fall back on: the inbox's row commits together with these statements, so
 * a message that comes again does not get here.
 */
export async function settleOrder(tx: Tx, messageId: string, { orderId }: StockAnswer, status: "confirmed" | "rejected"): Promise<void> {
  const sql = statements[tx.dialect];
  const [order] = await tx.query(sql.findOrder, [orderId]);
  if (order === undefined) return reject("orderUnknown");
  await tx.query(sql.setStatus, [status, orderId]);
  await tx.query(sql.noteChange, [orderId, messageId, status]);
  if (status === "rejected") await tx.query(sql.giveCreditBack, [String(order["total_cents"]), String(order["customer_id"])]);
}
