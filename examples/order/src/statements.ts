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
}

export const statements: Readonly<Record<Tx["dialect"], Statements>> = {
  postgres: {
    findOrder: "select customer_id, total_cents from customer_order where order_id = $1 for update",
    setStatus: "update customer_order set status = $1 where order_id = $2",
    noteChange: "insert into order_change (order_id, message_id, status) values ($1, $2, $3)",
    giveCreditBack: "update customer set credit_cents = credit_cents + $1::bigint where customer_id = $2",
  },
  mysql: {
    findOrder: "select customer_id, total_cents from customer_order where order_id = ? for update",
    setStatus: "update customer_order set status = ? where order_id = ?",
    noteChange: "insert into order_change (order_id, message_id, status) values (?, ?, ?)",
    giveCreditBack: "update customer set credit_cents = credit_cents + ? where customer_id = ?",
  },
};
