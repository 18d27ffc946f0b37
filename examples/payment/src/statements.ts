/**
 * What this service does to its tables, in both dialects: the placeholders differ, and little else. A service with one database needs one half of
 * this.
 */
import type { Tx } from "@waybill/sql";

interface Statements {
  /** Payment's id. */
  readonly findPayment: string;
  /** Customer's id. A new customer gets a card; one that is there stays as it is. */
  readonly giveCard: string;
  /** Customer's id. Locks the card. */
  readonly lockCard: string;
  /** Cents, customer's id. */
  readonly charge: string;
  /** Payment's id, order's id, customer's id, cents. */
  readonly insertPayment: string;
}

export const statements: Readonly<Record<Tx["dialect"], Statements>> = {
  postgres: {
    findPayment: "select order_id, customer_id, cents from payment where payment_id = $1",
    giveCard: "insert into card (customer_id) values ($1) on conflict do nothing",
    lockCard: "select limit_cents from card where customer_id = $1 for update",
    charge: "update card set limit_cents = limit_cents - $1::bigint where customer_id = $2",
    insertPayment: "insert into payment (payment_id, order_id, customer_id, cents) values ($1, $2, $3, $4::bigint)",
  },
  mysql: {
    findPayment: "select order_id, customer_id, cents from payment where payment_id = ?",
    giveCard: "insert into card (customer_id) values (?) on duplicate key update customer_id = customer_id",
    lockCard: "select limit_cents from card where customer_id = ? for update",
    charge: "update card set limit_cents = limit_cents - ? where customer_id = ?",
    insertPayment: "insert into payment (payment_id, order_id, customer_id, cents) values (?, ?, ?, ?)",
  },
};
