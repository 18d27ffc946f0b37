/**
 * What handlers do to this service's tables, in both dialects: the placeholders differ, and little else. A service with one database needs one
 * half of this.
 */
import type { Tx } from "@waybill/sql";

interface Statements {
  /** The order's id. Locks the order. */
  readonly findOrder: string;
  /** Status, order's id. */
  readonly setStatus: string;
  /** Order's id, message's id, status. */
  readonly noteChange: string;
  /** Cents, customer's id. */
  readonly giveCreditBack: string;
  /** Customer's id. Locks the customer. */
  readonly lockCard: string;
  /** Cents, customer's id. */
  readonly chargeCard: string;
  /** Cents, order's id. */
  readonly addPaid: string;
  /** Payment's id, order's id, message's id, cents. */
  readonly notePayment: string;
}

export const statements: Readonly<Record<Tx["dialect"], Statements>> = {
  postgres: {
    findOrder: "select customer_id, total_cents from customer_order where order_id = $1 for update",
    setStatus: "update customer_order set status = $1 where order_id = $2",
    noteChange: "insert into order_change (order_id, message_id, status) values ($1, $2, $3)",
    giveCreditBack: "update customer set credit_cents = credit_cents + $1::bigint where customer_id = $2",
    lockCard: "select card_limit_cents - card_used_cents as left_cents from customer where customer_id = $1 for update",
    chargeCard: "update customer set card_used_cents = card_used_cents + $1::bigint where customer_id = $2",
    addPaid: "update customer_order set paid_cents = paid_cents + $1::bigint where order_id = $2",
    notePayment: "insert into order_payment (payment_id, order_id, message_id, cents) values ($1, $2, $3, $4::bigint)",
  },
  mysql: {
    findOrder: "select customer_id, total_cents from customer_order where order_id = ? for update",
    setStatus: "update customer_order set status = ? where order_id = ?",
    noteChange: "insert into order_change (order_id, message_id, status) values (?, ?, ?)",
    giveCreditBack: "update customer set credit_cents = credit_cents + ? where customer_id = ?",
    lockCard: "select card_limit_cents - card_used_cents as left_cents from customer where customer_id = ? for update",
    chargeCard: "update customer set card_used_cents = card_used_cents + ? where customer_id = ?",
    addPaid: "update customer_order set paid_cents = paid_cents + ? where order_id = ?",
    notePayment: "insert into order_payment (payment_id, order_id, message_id, cents) values (?, ?, ?, ?)",
  },
};
