/**
 * What this service does to its tables, in both dialects: the placeholders differ, and little else. A service with one database needs one half of
 * this.
 */
import type { Tx } from "@waybill/sql";

interface Statements {
  /** The article. */
  readonly readStock: string;
  /** The article. Locks it. */
  readonly lockStock: string;
  /** Article, on hand. */
  readonly insertStock: string;
  /** On hand, article. */
  readonly setOnHand: string;
  /** Quantity, article. */
  readonly reserve: string;
  /** Order's id, message's id, article, quantity, 1 if it was reserved, the answer's message id. */
  readonly noteReservation: string;
  /** Order's id. */
  readonly findReserved: string;
  /** Quantity, article. */
  readonly release: string;
  /** Order's id, message's id, quantity. */
  readonly noteRelease: string;
}

export const statements: Readonly<Record<Tx["dialect"], Statements>> = {
  postgres: {
    readStock: "select on_hand, reserved from stock where sku = $1",
    lockStock: "select on_hand, reserved from stock where sku = $1 for update",
    insertStock: "insert into stock (sku, on_hand) values ($1, $2)",
    setOnHand: "update stock set on_hand = $1 where sku = $2",
    reserve: "update stock set reserved = reserved + $1::int where sku = $2",
    noteReservation: `insert into reservation (order_id, message_id, sku, quantity, is_reserved, answer_id)
                      values ($1, $2, $3, $4, $5::int = 1, $6)`,
    findReserved: "select sku, quantity from reservation where order_id = $1 and is_reserved",
    release: "update stock set reserved = reserved - $1::int where sku = $2",
    noteRelease: "insert into stock_release (order_id, message_id, quantity) values ($1, $2, $3)",
  },
  mysql: {
    readStock: "select on_hand, reserved from stock where sku = ?",
    lockStock: "select on_hand, reserved from stock where sku = ? for update",
    insertStock: "insert into stock (sku, on_hand) values (?, ?)",
    setOnHand: "update stock set on_hand = ? where sku = ?",
    reserve: "update stock set reserved = reserved + ? where sku = ?",
    noteReservation: `insert into reservation (order_id, message_id, sku, quantity, is_reserved, answer_id)
                      values (?, ?, ?, ?, ?, ?)`,
    findReserved: "select sku, quantity from reservation where order_id = ? and is_reserved",
    release: "update stock set reserved = reserved - ? where sku = ?",
    noteRelease: "insert into stock_release (order_id, message_id, quantity) values (?, ?, ?)",
  },
};
