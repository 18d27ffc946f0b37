/**
 * Taking a payment: the row of the payment and the message that tells of it are one fact, although no relay can see this database.
 *
 *     known? ──▶ prepare ──▶ BEGIN: barrier ▸ lock the card ▸ enough? ▸ payment ▸ charge ──▶ COMMIT ──▶ report ──▶ 201
 *       │          │                              │        └ no: all is undone, the message rolled back with it ──▶ 402
 *       │          │                              └ the customer's other payments wait here
 *       │          └ not stored: nothing has begun ──▶ 503
 *       └ its answer is the same, and no message is prepared
 *
 * `send` does everything but the lines in `takeIn`. Whoever dies on the way leaves a half message, and the service asks: see `payment-api.ts`.
 */
import type { Producer } from "@waybill/half-message";
import type { Database, Row, Tx } from "@waybill/sql";
import type { PaymentMessages, PaymentTaken } from "./messages.ts";
import { statements } from "./statements.ts";

export interface PaymentParts {
  readonly producer: Producer;
  readonly database: Database;
  readonly messages: PaymentMessages;
}

/** `taken` and `known` answer alike; `refused` leaves no trace; `conflict`: the id belongs to another payment. */
export type Taking = "taken" | "known" | "refused" | "conflict";

/**
 * Rejects with WAYBILL_PREPARE_FAILED and WAYBILL_FENCED (nothing was taken), with WAYBILL_OUTCOME_UNKNOWN, and with what the database failed of. In each
 * case: again, with the same payment id. A half message's id is spent with its first try; so each try gets a new one, and the payment's id is the message's.
 */
export async function takePayment({ producer, database, messages }: PaymentParts, payment: PaymentTaken): Promise<Taking> {
  const [before] = await database.query(statements[database.dialect].findPayment, [payment.paymentId]);
  if (before !== undefined) return takingOf(before, payment);
  try {
    await producer.send(messages.paymentTaken(payment, { id: payment.paymentId }), (tx) => takeIn(tx, payment));
    return "taken";
  } catch (error) {
    if (error instanceof NotTaken) return error.taking;
    throw error;
  }
}

async function takeIn(tx: Tx, payment: PaymentTaken): Promise<void> {
  const { paymentId, orderId, customerId, cents } = payment;
  const sql = statements[tx.dialect];
  await tx.query(sql.giveCard, [customerId]);
  // Payments of one customer exclude each other from here on.
  const [card] = await tx.query(sql.lockCard, [customerId]);
  // Another try of the same payment may have been faster.
  const [known] = await tx.query(sql.findPayment, [paymentId]);
  if (known !== undefined) throw new NotTaken(takingOf(known, payment));
  if (Number(card?.["limit_cents"]) < cents) throw new NotTaken("refused");
  await tx.query(sql.insertPayment, [paymentId, orderId, customerId, cents]);
  await tx.query(sql.charge, [cents, customerId]);
}

/** Ends the transaction: whatever it throws, everything rolls back, and the message is never delivered. */
class NotTaken extends Error {
  readonly taking: Taking;
  constructor(taking: Taking) {
    super(`The payment was not taken: ${taking}.`);
    this.taking = taking;
  }
}

/** What a payment with this id means for a caller who pays (again). */
function takingOf(known: Row, { orderId, customerId, cents }: PaymentTaken): Taking {
  const isSame = known["order_id"] === orderId && known["customer_id"] === customerId && Number(known["cents"]) === cents;
  return isSame ? "known" : "conflict";
}
